package executortest

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// patience is how long a loaded machine may take for what normally takes milliseconds.
const patience = 30 * time.Second

// app is a running puppet.
type app struct {
	executor.Process
	t      *testing.T
	output string // the file
	token  string
}

// start runs a puppet, which is ended at the end of the test at the latest.
func start(t *testing.T, e executor.Executor, verb, text string) *app {
	t.Helper()
	a := &app{t: t, output: filepath.Join(t.TempDir(), "out"), token: filepath.Join(t.TempDir(), "token")}
	file, err := os.Create(a.output)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	spec := specOf(verb, text, a.token)
	spec.Output = file
	if a.Process, err = e.Start(spec); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, 0); err != nil {
		t.Errorf("the executor has closed the file for output: %v", err)
	}
	t.Cleanup(func() {
		a.Stop(0)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := a.Wait(ctx); err != nil {
			t.Errorf("the app did not end: %v", err)
		}
	})
	return a
}

func specOf(verb, text, token string) executor.Spec {
	return executor.Spec{
		Type: task.TypeClientApp, Args: []string{verb, text, "--token-file", token}, TokenFile: token,
		Env: []string{"WORD=overridden", "WORD=hello"},
	}
}

// ends waits for the end of the app.
func (a *app) ends() task.Exit {
	a.t.Helper()
	return ends(a.t, a.Process)
}

func ends(t *testing.T, p executor.Process) task.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	exit, err := p.Wait(ctx)
	if err != nil {
		t.Fatalf("Wait = %v", err)
	}
	return exit
}

// says waits for the first line that the app prints.
func (a *app) says() string {
	a.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		if content, err := os.ReadFile(a.output); err == nil && strings.HasSuffix(string(content), "\n") {
			return strings.TrimSpace(string(content))
		}
	}
	a.t.Fatal("the app printed nothing")
	return ""
}

// child identifies the process whose pid the app prints.
func (a *app) child() process.Identity {
	a.t.Helper()
	pid, err := strconv.Atoi(a.says())
	if err != nil {
		a.t.Fatal(err)
	}
	id, err := process.Of(pid)
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

// gone checks that a process has ended, which it should have done before the test asks.
func gone(t *testing.T, id process.Identity) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := id.Wait(ctx); err != nil {
		t.Errorf("process %d, which the app started, is still running: %v", id.PID, err)
	}
}
