package subprocess

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestLimitsHold(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate") // holds the app until its limits are set
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	e := newExecutor(t, "#!/bin/sh\nread _ < \"$1\"; ulimit -n; ulimit -v; nice\n", Limits{OpenFiles: 77, AddressSpace: 1 << 30, Nice: 7})
	out := filepath.Join(t.TempDir(), "out")
	file, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p, err := e.Start(executor.Spec{Type: task.TypeClientApp, Args: []string{gate}, Output: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gate, []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	if exit, err := p.Wait(t.Context()); err != nil || exit.Code != 0 {
		t.Fatalf("Wait = %+v, %v", exit, err)
	}
	if got, _ := os.ReadFile(out); string(got) != "77\n1048576\n7\n" {
		t.Errorf("limits seen by the app: %q", got)
	}
}
