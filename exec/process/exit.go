package process

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// ExitOf reads how a child ended from what its Wait returned. A nil state with the error of
// Wait means that the kernel did not say.
func ExitOf(state *os.ProcessState, err error) task.Exit {
	if state == nil {
		return UnknownExit(fmt.Sprintf("the exit status could not be read: %v", err))
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return ExitOfStatus(-int(status.Signal()))
	}
	return ExitOfStatus(state.ExitCode())
}

// ExitOfStatus reads an exit status in the form that Python gives it: a signal is negative.
func ExitOfStatus(status int) task.Exit {
	if status < 0 {
		return task.Exit{Code: -1, Signal: unix.SignalName(syscall.Signal(-status))}
	}
	return task.Exit{Code: status}
}

// UnknownExit is the end of a process whose exit status is not known; why gives the reason.
func UnknownExit(why string) task.Exit { return task.Exit{Code: -1, Detail: why} }
