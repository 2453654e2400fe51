package subprocess

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/exec/python"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a shell script in place of flwr-clientapp and returns its output file.
func start(t *testing.T, script string, limits Limits) (executor.Process, *Executor, string) {
	t.Helper()
	scripts, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	path := filepath.Join(scripts, "flwr-clientapp")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	e, err := New(python.Env{Scripts: scripts}, limits)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Start(executor.Spec{
		Type: "flwr-clientapp", Args: []string{"--token-file", out + ".token"},
		Env: []string{"WORD=hello"}, Output: file,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop(0)
		if _, err := p.Wait(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p, e, out
}

// waitFor gives the content of a file once it ends in a newline.
func waitFor(t *testing.T, path string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		if content, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(content), "\n") {
			return strings.TrimSpace(string(content))
		}
	}
	t.Fatalf("nothing was written to %s", path)
	return ""
}

func TestExitStatusOutputAndEnvironment(t *testing.T) {
	p, _, out := start(t, `echo "$WORD $1"; echo oops >&2; exit 7`, Limits{})
	exit, err := p.Wait(t.Context())
	if err != nil || exit.Code != 7 || exit.Signal != "" {
		t.Errorf("Wait = %+v, %v", exit, err)
	}
	if got, _ := os.ReadFile(out); string(got) != "hello --token-file\noops\n" {
		t.Errorf("output %q", got)
	}
}

func TestSignalIsNamed(t *testing.T) {
	p, _, _ := start(t, `kill -SEGV $$; sleep 600`, Limits{})
	if exit, err := p.Wait(t.Context()); err != nil || exit.Code != -1 || exit.Signal != "SIGSEGV" {
		t.Errorf("Wait = %+v, %v", exit, err)
	}
}

func TestStopEndsAnAppThatListens(t *testing.T) {
	p, _, out := start(t, `trap 'exit 5' TERM; echo up; while :; do sleep 600 & wait; done`, Limits{})
	waitFor(t, out)
	p.Stop(time.Minute)
	if exit, err := p.Wait(t.Context()); err != nil || exit.Code != 5 {
		t.Errorf("Wait = %+v, %v", exit, err)
	}
}

func TestStopKillsAnAppThatDoesNotAndItsChildren(t *testing.T) {
	p, _, out := start(t, `trap '' TERM; sleep 600 & echo $!; wait; sleep 600`, Limits{})
	child := waitIdentity(t, out)
	p.Stop(10 * time.Millisecond)
	if exit, err := p.Wait(t.Context()); err != nil || exit.Signal != "SIGKILL" {
		t.Errorf("Wait = %+v, %v", exit, err)
	}
	if err := child.Wait(t.Context()); err != nil {
		t.Errorf("the child of the app still runs: %v", err)
	}
}

func TestChildrenEndWithTheApp(t *testing.T) {
	p, _, out := start(t, `trap '' TERM; sleep 600 & echo $!; read _ < "`+fifoIn(t)+`"; exit 0`, Limits{})
	child := waitIdentity(t, out)
	release(t)
	if exit, err := p.Wait(t.Context()); err != nil || exit.Code != 0 {
		t.Errorf("Wait = %+v, %v", exit, err)
	}
	if err := child.Wait(t.Context()); err != nil {
		t.Errorf("the child of the app still runs: %v", err)
	}
}

func TestProcessTakenBack(t *testing.T) {
	p, e, out := start(t, `echo up; while :; do sleep 600 & wait; done`, Limits{})
	waitFor(t, out)
	found, err := e.Find(out + ".token")
	if err != nil || string(found.Handle()) != string(p.Handle()) {
		t.Fatalf("Find: %v", err)
	}
	again, err := e.Attach(p.Handle())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := again.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v while the app runs", err)
	}
	again.Stop(time.Minute)
	if exit, err := again.Wait(t.Context()); err != nil || exit.Code != -1 || exit.Detail == "" {
		t.Errorf("Wait = %+v, %v", exit, err)
	}
	if _, err := e.Find(out + ".none"); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Find of nothing = %v", err)
	}
}

func TestHandleOfAnEarlierBootIsNobody(t *testing.T) {
	self, err := process.Self()
	if err != nil {
		t.Fatal(err)
	}
	self.Start = "another boot"
	handle, _ := json.Marshal(self)
	e, _ := New(python.Env{}, Limits{})
	p, err := e.Attach(handle)
	if err != nil {
		t.Fatal(err)
	}
	p.Stop(0) // must not hit this test
	if exit, err := p.Wait(t.Context()); err != nil || exit.Code != -1 {
		t.Errorf("Wait = %+v, %v", exit, err)
	}
	if _, err := e.Attach(json.RawMessage(`"x"`)); err == nil {
		t.Error("a handle that is none was taken")
	}
}

func TestLimitsThatMakeNoSense(t *testing.T) {
	for _, nice := range []int{-1, 20} {
		if _, err := New(python.Env{}, Limits{Nice: nice}); err == nil {
			t.Errorf("nice %d was taken", nice)
		}
	}
}
