package warm

import (
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/process"
)

// Attach implements executor.Executor.
func (e *Executor) Attach(handle json.RawMessage) (executor.Process, error) {
	return e.Cold.Attach(handle)
}

// Find implements executor.Executor. A warm app has written its pid beside its token file.
func (e *Executor) Find(tokenFile string) (executor.Process, error) {
	text, err := os.ReadFile(markOf(tokenFile))
	if err != nil {
		return e.Cold.Find(tokenFile)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, os.ErrProcessDone // it died while it wrote
	}
	id, err := process.Of(pid)
	if err != nil {
		return nil, err
	}
	if !e.isFork(pid) {
		return nil, os.ErrProcessDone // the pid belongs to another process by now
	}
	handle, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	return e.Cold.Attach(handle)
}

func markOf(tokenFile string) string { return tokenFile + ".pid" }

// isFork tells whether a process runs our script.
func (e *Executor) isFork(pid int) bool {
	found, err := process.FindByArgument(filepath.Join(e.Dir, "forkserver.py"))
	if err != nil {
		return false
	}
	for _, id := range found {
		if id.PID == pid {
			return true
		}
	}
	return false
}
