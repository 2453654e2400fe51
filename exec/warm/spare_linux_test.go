package warm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// The process of an app exists before the app is asked for, and a new one is made afterwards.
func TestTheNextAppIsForkedAhead(t *testing.T) {
	f := newFixture(t, environmentWith(t, "import os\ndef main():\n    print(os.getpid(), os.getsid(0))\n"))
	for range 3 {
		spare := awaitChild(t, f.servers[0].server)
		if exit, text := second(f.start(""))(); exit.Code != 0 || text != fmt.Sprintln(spare, spare) {
			t.Fatalf("exit %+v, pid and session %q, want those of the child %d that waited", exit, text, spare)
		}
	}
}

// Of two apps at a time, one takes the waiting child and the other is forked for its request.
func TestAppsThatFindNoSpareAreForked(t *testing.T) {
	f := newFixture(t, environmentWith(t, "import os, time\ndef main():\n    print(os.getppid(), flush=True)\n    time.sleep(0.2)\n"))
	server := f.servers[0].cmd.Process.Pid
	awaitChild(t, f.servers[0].server)
	_, first := f.start("")
	_, next := f.start("")
	for _, wait := range []func() (task.Exit, string){first, next} {
		if _, text := wait(); strings.TrimSpace(text) != strconv.Itoa(server) {
			t.Errorf("the parent of an app is %s, want the fork server %d", text, server)
		}
	}
}

// Killing a spare costs no app, and no spare outlives its server.
func TestSparesDie(t *testing.T) {
	f := newFixture(t, environmentWith(t, "import os\ndef main():\n    print(os.getppid())\n"))
	server := f.servers[0].cmd.Process.Pid
	killed, err := process.Of(awaitChild(t, f.servers[0].server))
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := killed.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exit, text := second(f.start(""))(); exit.Code != 0 || strings.TrimSpace(text) != strconv.Itoa(server) {
		t.Fatalf("exit %+v, parent %q, want a fork of %d", exit, text, server)
	}
	orphan, err := process.Of(awaitChild(t, f.servers[0].server))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.servers[0].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := orphan.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// awaitChild waits until a fork server has exactly one child, which runs no app.
func awaitChild(t *testing.T, server *server) int {
	t.Helper()
	<-server.ready // before that it forks, to see what a fork is like
	pid := strconv.Itoa(server.cmd.Process.Pid)
	for deadline := time.Now().Add(30 * time.Second); ; {
		text, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
		if err != nil {
			t.Fatal(err)
		}
		if children := strings.Fields(string(text)); len(children) == 1 {
			if child, err := strconv.Atoi(children[0]); err == nil {
				return child
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the fork server has the children %q, want one waiting child", text)
		}
		<-time.After(5 * time.Millisecond)
	}
}
