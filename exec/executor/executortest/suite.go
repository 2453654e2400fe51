package executortest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Run runs the suite with an executor whose flwr-clientapp is a puppet.
func Run(t *testing.T, e executor.Executor) {
	for name, test := range map[string]func(*testing.T, executor.Executor){
		"ExitStatusOutputAndEnvironment":              exitStatusOutputAndEnvironment,
		"SignalIsNamed":                               signalIsNamed,
		"StopEndsAnAppThatListens":                    stopEndsAnAppThatListens,
		"StopKillsAnAppThatDoesNotListenWithItsChild": stopKillsAnAppThatDoesNotListenWithItsChild,
		"SecondStopMayBeShorter":                      secondStopMayBeShorter,
		"StopRightAfterStart":                         stopRightAfterStart,
		"ChildrenEndWithTheApp":                       childrenEndWithTheApp,
		"WaitEndsWithItsContextAndMayBeRepeated":      waitEndsWithItsContextAndMayBeRepeated,
		"ProcessTakenBack":                            processTakenBack,
		"HandleOfAnEarlierBootIsNobody":               handleOfAnEarlierBootIsNobody,
		"NothingIsFoundWhereNothingRuns":              nothingIsFoundWhereNothingRuns,
		"StartThatFailsLeavesNothing":                 startThatFailsLeavesNothing,
		"SeveralAtATime":                              severalAtATime,
	} {
		t.Run(name, func(t *testing.T) { test(t, e) })
	}
}

func exitStatusOutputAndEnvironment(t *testing.T, e executor.Executor) {
	a := start(t, e, "say", "two words")
	if exit := a.ends(); exit != (task.Exit{Code: 7}) {
		t.Errorf("the app ended with %+v, want status 7", exit)
	}
	if got, _ := os.ReadFile(a.output); string(got) != "hello two words\noops\n" {
		t.Errorf("output %q", got)
	}
}

func signalIsNamed(t *testing.T, e executor.Executor) {
	if exit := start(t, e, "crash", "").ends(); exit != (task.Exit{Code: -1, Signal: "SIGSEGV"}) {
		t.Errorf("the app ended with %+v, want its signal", exit)
	}
}

func stopEndsAnAppThatListens(t *testing.T, e executor.Executor) {
	a := start(t, e, "listen", "")
	a.says()
	a.Stop(time.Minute)
	if exit := a.ends(); exit != (task.Exit{Code: 5}) {
		t.Errorf("the app ended with %+v, want the status that it chose itself", exit)
	}
	a.Stop(0) // nobody is left to be hit
}

func stopKillsAnAppThatDoesNotListenWithItsChild(t *testing.T, e executor.Executor) {
	a := start(t, e, "stubborn", "")
	child := a.child()
	a.Stop(10 * time.Millisecond)
	if exit := a.ends(); exit != (task.Exit{Code: -1, Signal: "SIGKILL"}) {
		t.Errorf("the app ended with %+v, want SIGKILL", exit)
	}
	gone(t, child)
}

func secondStopMayBeShorter(t *testing.T, e executor.Executor) {
	a := start(t, e, "stubborn", "")
	child := a.child()
	a.Stop(time.Hour)
	a.Stop(0)
	if exit := a.ends(); exit.Signal != "SIGKILL" {
		t.Errorf("the app ended with %+v, want SIGKILL", exit)
	}
	gone(t, child)
}

// An app may be ended before it has run a line of its own.
func stopRightAfterStart(t *testing.T, e executor.Executor) {
	for range 5 {
		a := start(t, e, "stubborn", "")
		a.Stop(0)
		if exit := a.ends(); exit.Code != -1 || exit.Signal == "" {
			t.Errorf("the app ended with %+v, want a signal", exit)
		}
	}
}

func childrenEndWithTheApp(t *testing.T, e executor.Executor) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, e, "leave", pipe)
	child := a.child()
	gate, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = gate.WriteString("\n")
	if err := errors.Join(err, gate.Close()); err != nil {
		t.Fatal(err)
	}
	if exit := a.ends(); exit != (task.Exit{}) {
		t.Errorf("the app ended with %+v, want success", exit)
	}
	gone(t, child)
}

func waitEndsWithItsContextAndMayBeRepeated(t *testing.T, e executor.Executor) {
	a := start(t, e, "listen", "")
	a.says()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v while the app runs", err)
	}
	a.Stop(time.Minute)
	if first, second := a.ends(), a.ends(); first != second {
		t.Errorf("the app ended with %+v and with %+v", first, second)
	}
}

// Another SuperExec, which is not the parent, has only the handle or the token file.
func processTakenBack(t *testing.T, e executor.Executor) {
	a := start(t, e, "listen", "")
	a.says()
	found, err := e.Find(a.token)
	if err != nil || string(found.Handle()) != string(a.Handle()) {
		t.Fatalf("Find: %v", err)
	}
	again, err := e.Attach(a.Handle())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := again.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v while the app runs", err)
	}
	again.Stop(time.Minute)
	if exit := ends(t, again); exit.Code != -1 || exit.Detail == "" {
		t.Errorf("the app ended with %+v, want an unknown status", exit)
	}
	a.ends()
	if late, err := e.Attach(a.Handle()); err != nil {
		t.Error(err)
	} else if exit := ends(t, late); exit.Code != -1 {
		t.Errorf("an app that had already ended was reported as %+v", exit)
	}
}

func handleOfAnEarlierBootIsNobody(t *testing.T, e executor.Executor) {
	self, err := process.Self()
	if err != nil {
		t.Fatal(err)
	}
	self.Start = "another boot"
	handle, err := json.Marshal(self)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Attach(handle)
	if err != nil {
		t.Fatal(err)
	}
	p.Stop(0) // must not hit this test
	if exit := ends(t, p); exit.Code != -1 {
		t.Errorf("a process that does not exist ended with %+v", exit)
	}
	if _, err := e.Attach(json.RawMessage(`"x"`)); err == nil {
		t.Error("something that is not a handle was accepted")
	}
}

func nothingIsFoundWhereNothingRuns(t *testing.T, e executor.Executor) {
	if _, err := e.Find(filepath.Join(t.TempDir(), "token")); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Find = %v, want os.ErrProcessDone", err)
	}
}

func startThatFailsLeavesNothing(t *testing.T, e executor.Executor) {
	token := filepath.Join(t.TempDir(), "token")
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	spec := specOf("say", "", token)
	spec.Type, spec.Output = "flwr-nothing", file
	if _, err := e.Start(spec); err == nil {
		t.Error("a program that does not exist was started")
	}
	if _, err := e.Find(token); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Find = %v, want os.ErrProcessDone", err)
	}
	if _, err := file.WriteString("\n"); err != nil {
		t.Errorf("the executor has closed the file for output: %v", err)
	}
}

func severalAtATime(t *testing.T, e executor.Executor) {
	for range 6 {
		t.Run("App", func(t *testing.T) {
			t.Parallel()
			a := start(t, e, "listen", "")
			a.says()
			a.Stop(time.Minute)
			if exit := a.ends(); exit != (task.Exit{Code: 5}) {
				t.Errorf("the app ended with %+v", exit)
			}
		})
	}
}
