package task

import "fmt"

// Exit is how the process of a task ended, as the SuperExec that ran it saw it. It is the
// body of a report on [PathReportExit] and is kept on disk until the host has taken it.
type Exit struct {
	// Code is the exit status, or -1 when a signal ended the process, when it never started,
	// or when nobody knows.
	Code int `json:"code"`
	// Signal is the name of the signal that ended the process, or empty.
	Signal string `json:"signal,omitempty"`
	// Detail is one line for the user, such as the last line of stderr.
	Detail string `json:"detail,omitempty"`
}

// How completes "the process ...", leaving out the detail: that may be output of the app, which
// must not go everywhere.
func (e Exit) How() string {
	switch {
	case e.Signal != "":
		return "was ended by signal " + e.Signal
	case e.Code < 0:
		return "ended, and its exit status is not known"
	}
	return fmt.Sprintf("ended with exit status %d", e.Code)
}
