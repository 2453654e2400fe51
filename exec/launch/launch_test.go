package launch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/exec"
	"github.com/rhizome-fl/rhizome/exec/launch"
	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// envNeverReady makes a SuperExec that never gets ready; it writes down that it was started and
// that it was asked to end, in files beside the one that the variable names.
const envNeverReady = "RHIZOME_TEST_NEVER_READY"

// TestMain lets this binary be the SuperExec that the tests launch.
func TestMain(m *testing.M) {
	if os.Getenv("RHIZOME_TEST_SUPEREXEC") == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	args := os.Args[1:] // address, data folder, python, and anything
	if file := os.Getenv(envNeverReady); file != "" {
		_ = os.WriteFile(file+".started", nil, 0o600)
		<-ctx.Done()
		_ = os.WriteFile(file+".asked", nil, 0o600)
		return
	}
	err := exec.Run(ctx, exec.Config{
		RuntimeAddress: args[0], DataDir: args[1], Python: args[2], Cold: true,
		OnReady: func() { fmt.Println("ready superexec") },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// host gives out one task and takes the report about it.
type host struct {
	*httptest.Server
	tasks   chan *flwrpb.Task
	end     chan struct{}
	reports chan task.Exit
}

func newHost(t *testing.T) *host {
	h := &host{tasks: make(chan *flwrpb.Task, 1), end: make(chan struct{}), reports: make(chan task.Exit, 4)}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/runtime/acquire-task", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the client left
		select {
		case given := <-h.tasks:
			answer, err := proto.Marshal(&flwrpb.AcquireTaskResponse{Task: given, Token: "secret"})
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(answer)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc(task.PathAwaitTaskEnd, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-h.end:
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc(task.PathReportExit, func(_ http.ResponseWriter, r *http.Request) {
		var exit task.Exit
		if err := json.NewDecoder(r.Body).Decode(&exit); err != nil {
			t.Error(err)
		}
		h.reports <- exit
	})
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

func (h *host) report(t *testing.T) task.Exit {
	t.Helper()
	select {
	case exit := <-h.reports:
		return exit
	case <-time.After(20 * time.Second):
		t.Fatal("the end of the app was not reported")
		return task.Exit{}
	}
}

// options returns options for a SuperExec whose apps run the script, and the folder with the script.
func options(t *testing.T, h *host, script string) (launch.Options, string) {
	t.Helper()
	env, data := t.TempDir(), t.TempDir()
	for _, name := range []string{"python", "flwr-serverapp", "flwr-clientapp"} {
		if err := os.WriteFile(filepath.Join(env, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return launch.Options{
		DataDir: data, Args: []string{h.Listener.Addr().String(), data, env},
		Env: []string{"RHIZOME_TEST_SUPEREXEC=1"},
	}, env
}

func start(t *testing.T, opts launch.Options) *launch.SuperExec {
	t.Helper()
	s, err := launch.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

// appIn waits for the pid that the app writes.
func appIn(t *testing.T, folder string) process.Identity {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		var pid int
		text, err := os.ReadFile(filepath.Join(folder, "pid"))
		if err != nil || !strings.HasSuffix(string(text), "\n") {
			continue
		}
		if _, err := fmt.Sscan(string(text), &pid); err != nil {
			t.Fatal(err)
		}
		id, err := process.Of(pid)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	t.Fatal("no app was started")
	return process.Identity{}
}

const longLived = `echo $$ > "${0%/*}/pid"; trap 'exit 0' TERM; while :; do echo alive; sleep 600 & wait; done`

var oneTask = &flwrpb.Task{TaskId: 1, RunId: 2, Type: "flwr-clientapp"}

func TestKilledSuperExecIsReplacedAndTheAppLives(t *testing.T) {
	h := newHost(t)
	opts, folder := options(t, h, longLived)
	s := start(t, opts)
	h.tasks <- oneTask
	app := appIn(t, folder)

	first := s.PID()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); s.PID() == first; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the SuperExec was not started again")
		}
	}
	if !app.Alive() {
		t.Fatal("the app died with its SuperExec")
	}
	close(h.end) // the successor must be the one that hears it
	if exit := h.report(t); exit.Code != -1 || exit.Detail == "" {
		t.Errorf("report %+v", exit)
	}
	if app.Alive() {
		t.Error("the app that had been taken back was not ended")
	}
}

func TestAppThatDiedMeanwhileIsReported(t *testing.T) {
	h := newHost(t)
	opts, folder := options(t, h, longLived)
	s := start(t, opts)
	h.tasks <- oneTask
	app := appIn(t, folder)
	s.Leave()
	superexec, err := process.Of(s.PID())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []process.Identity{superexec, app} {
		if err := id.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := id.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	start(t, opts)
	if exit := h.report(t); exit.Code != -1 {
		t.Errorf("report %+v", exit)
	}
}

func TestLivingSuperExecIsTakenBack(t *testing.T) {
	h := newHost(t)
	opts, _ := options(t, h, longLived)
	first := start(t, opts)
	first.Leave() // as if the program that started it had died
	second := start(t, opts)
	if first.PID() != second.PID() {
		t.Error("another SuperExec was started although one is alive")
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSuperExecOfOtherArgumentsIsReplaced(t *testing.T) {
	h := newHost(t)
	opts, folder := options(t, h, longLived)
	first := start(t, opts)
	h.tasks <- oneTask
	app := appIn(t, folder)
	first.Leave()
	opts.Args = append(opts.Args, "--another")
	second := start(t, opts)
	if first.PID() == second.PID() || !app.Alive() {
		t.Errorf("replaced: %v, app alive: %v", first.PID() != second.PID(), app.Alive())
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if app.Alive() {
		t.Error("the app outlived the stop of its SuperExec")
	}
}

func TestStartTellsWhyNot(t *testing.T) {
	h := newHost(t)
	opts, folder := options(t, h, longLived)
	if err := os.Remove(filepath.Join(folder, "flwr-clientapp")); err != nil {
		t.Fatal(err)
	}
	if _, err := launch.Start(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "is flwr installed") {
		t.Errorf("Start = %v", err)
	}
	opts.Program = filepath.Join(folder, "none")
	if _, err := launch.Start(t.Context(), opts); err == nil {
		t.Error("a program that does not exist was started")
	}
}

// A SuperExec that is killed before it is ready leaves its fork server behind, so it is asked to end.
func TestBrokenOffStartAsksTheSuperExecToEnd(t *testing.T) {
	opts, folder := options(t, newHost(t), longLived)
	note := filepath.Join(folder, "note")
	opts.Env = append(opts.Env, envNeverReady+"="+note)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { _, err := launch.Start(ctx, opts); result <- err }()
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
		if _, err := os.Stat(note + ".started"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no SuperExec was started")
		}
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Start = %v", err)
	}
	if _, err := os.Stat(note + ".asked"); err != nil {
		t.Errorf("it was not asked to end: %v", err)
	}
}
