package process

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestExitOf(t *testing.T) {
	for script, want := range map[string]task.Exit{
		"exit 0":        {},
		"exit 7":        {Code: 7},
		"exit 255":      {Code: 255},
		"kill -SEGV $$": {Code: -1, Signal: "SIGSEGV"},
		"kill -KILL $$": {Code: -1, Signal: "SIGKILL"},
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		err := cmd.Run()
		if got := ExitOf(cmd.ProcessState, err); got != want {
			t.Errorf("%s: %+v, want %+v", script, got, want)
		}
	}
	if got := ExitOf(nil, errors.New("no child")); got.Code != -1 || got.Detail != "the exit status could not be read: no child" {
		t.Errorf("without a state: %+v", got)
	}
}

func TestExitOfStatus(t *testing.T) {
	for status, want := range map[int]task.Exit{
		0: {}, 3: {Code: 3}, -9: {Code: -1, Signal: "SIGKILL"}, -15: {Code: -1, Signal: "SIGTERM"},
	} {
		if got := ExitOfStatus(status); got != want {
			t.Errorf("status %d: %+v, want %+v", status, got, want)
		}
	}
}
