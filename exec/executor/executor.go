// Package executor is what a SuperExec asks of the thing that runs its app processes.
//
// An [Executor] starts an app and hands out a [Process]; whoever holds the handle of a
// process, also after a crash of the SuperExec that started it, can take it back. The
// SuperExec sees to everything else: what to run, when to end it, whom to tell.
//
// It is not responsible for output (the app writes to the file in [Spec]), for tokens, or
// for the order in which apps start.
package executor

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Spec is an app that is to be started.
type Spec struct {
	// Type of the task, which is also the name of the program: task.TypeServerApp, ...
	Type string
	// FABHash names the app, for an executor that learns about apps; may be empty.
	FABHash string
	// Args go to the program. They never hold a secret: everybody on the machine may read them.
	Args []string
	// TokenFile is among Args; it marks the process even if its handle was never written down.
	TokenFile string
	// Env is added to the environment of the SuperExec; later values win.
	Env []string
	// Output takes stdout and stderr. The executor does not close it.
	Output *os.File
}

// Executor starts app processes. Its methods may be called concurrently.
type Executor interface {
	// Start returns when the app runs. Its life does not depend on ours.
	Start(spec Spec) (Process, error)
	// Attach takes back a process by its handle. The process may have ended meanwhile.
	Attach(handle json.RawMessage) (Process, error)
	// Find looks for a process that was started with this token file, for a SuperExec that
	// died before it wrote the handle down. The error is os.ErrProcessDone if there is none.
	Find(tokenFile string) (Process, error)
}

// Process is one running app, with all processes that it started itself.
type Process interface {
	// Handle is what Attach needs.
	Handle() json.RawMessage
	// Wait returns how the app ended, once it has and nothing of it is left, or the error of
	// ctx. It may be called again after an error; only one call may run at a time.
	Wait(ctx context.Context) (task.Exit, error)
	// Stop asks the app to end and kills it, and all that it started, after grace. It does
	// not wait for it: Wait does. The second call of a process may use a shorter grace.
	Stop(grace time.Duration)
}
