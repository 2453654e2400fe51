package subprocess

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/exec/process"
)

// waitIdentity names the process whose pid a script wrote to the file.
func waitIdentity(t *testing.T, path string) process.Identity {
	t.Helper()
	pid, err := strconv.Atoi(waitFor(t, path))
	if err != nil {
		t.Fatal(err)
	}
	id, err := process.Of(pid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

var gate = map[string]string{} // test name -> pipe that holds its script

// fifoIn makes a pipe on which a script waits until release.
func fifoIn(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gate")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	gate[t.Name()] = path
	return path
}

func release(t *testing.T) {
	t.Helper()
	file, err := os.OpenFile(gate[t.Name()], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
}
