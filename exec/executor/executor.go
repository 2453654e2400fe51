// Package executor defines what a SuperExec asks of the thing that runs its app processes: a
// small interface behind which a plain child process (exec/subprocess), a fork of a process
// that has already done the imports (exec/warm), and anything else that may run an app look the
// same.
//
// An [Executor] starts an app and hands out a [Process]. Anyone who has the handle of a process
// can take it back, even after a crash of the SuperExec that started it.
//
//	       Start                         ends by itself, or Stop
//	(none) ──────► running ──────────────────────────────────────► ended (Wait tells how)
//	                  │ our own end, however it comes               ▲
//	                  ▼                                             │
//	              running on ──── Attach, Find ──► taken back ──────┘ (exit status not known)
//
// What every implementation guarantees, and the suite in executortest checks:
//   - Start returns a running app, or an error and leaves nothing of the app behind.
//   - The end of an app is the end of everything that it started: when Wait returns, no process
//     of its group is left, whether the app ended by itself, was stopped, or was killed.
//   - Wait returns the exit status or names the signal. What cannot be known has code -1 and
//     a detail that says why; a success is never made up.
//   - The life of an app does not depend on ours: only Stop ends it.
//   - A handle never denotes a stranger, not even after the pid was given out again or the
//     machine was restarted.
//
// It is not responsible for output (the app writes to the file in [Spec]), for tokens, for
// what to run and when to end it, or for the order in which apps start.
package executor

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Executor starts app processes. Its methods may be called concurrently.
type Executor interface {
	// Start returns once the app is running.
	Start(spec Spec) (Process, error)
	// Attach takes back a process by its handle. The process may have ended in the meantime. An
	// error means that this is not a handle.
	Attach(handle json.RawMessage) (Process, error)
	// Find looks for a process that was started with this token file, for the successor of a
	// SuperExec that died before it wrote the handle down. The error is os.ErrProcessDone if there is none.
	Find(tokenFile string) (Process, error)
}

// Spec describes an app to be started.
type Spec struct {
	// Type of the task, which is also the name of the program, such as task.TypeServerApp.
	Type string
	// FABHash names the app, for an executor that learns about apps; it may be empty.
	FABHash string
	// Args go to the program. They never hold a secret, since everybody on the machine may read them.
	Args []string
	// TokenFile is among Args; it marks the process even if its handle was never written down.
	TokenFile string
	// Env is added to the environment of the SuperExec; later values win.
	Env []string
	// Output takes stdout and stderr. The executor does not close it.
	Output *os.File
}

// Process is one running app, with all processes that it has started.
type Process interface {
	// Handle returns what Attach needs.
	Handle() json.RawMessage
	// Wait returns how the app ended, once it has ended and nothing of it is left, or the error of
	// ctx. It may be called again after either; only one call may run at a time.
	Wait(ctx context.Context) (task.Exit, error)
	// Stop asks the app to end, and kills it and everything that it started after the grace period.
	// It does not wait for that: Wait does. A second call for a process may use a shorter grace
	// period. After the end of the app it does nothing.
	Stop(grace time.Duration)
}
