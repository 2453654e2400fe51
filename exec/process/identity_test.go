package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper starts a process that lives until the test ends it.
func sleeper(t *testing.T, args ...string) (Identity, *exec.Cmd) {
	t.Helper()
	if len(args) == 0 {
		args = []string{"sleep", "600"}
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	id, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return id, cmd
}

func TestSelfIsAlive(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	if !self.Alive() || self.PID != os.Getpid() {
		t.Errorf("Self() = %+v, alive %v", self, self.Alive())
	}
}

func TestSamePIDOfAnotherStartIsAnotherProcess(t *testing.T) {
	id, _ := sleeper(t)
	other := id
	other.Start += "0"
	if other.Alive() {
		t.Error("a process with another start time counts as alive")
	}
	if err := other.Signal(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Signal to a former owner of the pid = %v, want ErrProcessDone", err)
	}
	if !id.Alive() {
		t.Error("the process was hit by a signal to a former owner of its pid")
	}
}

func TestWaitEndsWithTheProcess(t *testing.T) {
	id, cmd := sleeper(t)
	done := make(chan error, 1)
	go func() { done <- id.Wait(t.Context()) }()
	select {
	case err := <-done:
		t.Fatalf("Wait returned %v while the process runs", err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := id.SignalGroup(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Wait = %v", err)
	}
	// The process is a zombie now, since nobody has collected it: it must not count.
	if id.Alive() {
		t.Error("a zombie counts as alive")
	}
	_ = cmd.Wait()
}

func TestWaitEndsWithTheContext(t *testing.T) {
	id, _ := sleeper(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- id.Wait(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want context.Canceled", err)
	}
}

func TestNoSuchProcess(t *testing.T) {
	for _, pid := range []int{-1, 0, 1 << 30} {
		if _, err := Of(pid); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("Of(%d) = %v, want ErrProcessDone", pid, err)
		}
	}
	var none Identity
	if none.Alive() || none.Wait(t.Context()) != nil || none.SignalGroup(unix.SIGKILL) == nil {
		t.Error("the zero identity names a process")
	}
}

func TestFindByArgument(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system does not show the arguments of processes")
	}
	mark := t.TempDir() + "/token"
	id, _ := sleeper(t, "sh", "-c", "while :; do sleep 600; done", mark)
	found, err := FindByArgument(mark)
	// Until the child has become "sleep", it has the same arguments.
	if err != nil || !slices.Contains(found, id) {
		t.Errorf("FindByArgument = %+v, %v; want %+v in it", found, err, id)
	}
}

func TestForkThatLeadsNoGroupYetGetsTheSignal(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "600") // in the group of this test
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	id, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.SignalGroup(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if got := ExitOf(cmd.ProcessState, err); got.Signal != "SIGKILL" {
		t.Errorf("it ended with %+v, want SIGKILL", got)
	}
	if err := id.SignalGroup(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("SignalGroup of the zero identity = %v, want ErrProcessDone", err)
	}
}
