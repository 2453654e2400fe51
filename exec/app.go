package exec

import (
	"context"
	"errors"
	"sync"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/install"
	"github.com/rhizome-fl/rhizome/exec/output"
	"github.com/rhizome-fl/rhizome/exec/process"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// app is one launch of a task. One goroutine runs it; only supersede may be called from others.
type app struct {
	s     *superExec
	name  string // in the journal
	token string
	rec   record
	turn  *install.Turn

	proc executor.Process // nil if there is none (any more)
	pipe *output.Pipe     // nil if its output cannot be read
	log  *output.Log      // nil if its output cannot be kept

	lastLine []byte // of its output; owned by the goroutine that reads it

	mu         sync.Mutex
	superseded bool
	stop       context.CancelCauseFunc // set while the process is waited for
}

// Reasons to end a process.
var (
	errEndedByHost = errors.New("the host ended the task")
	errSuperseded  = errors.New("the task was given out again")
)

// follow sees the app through to its end and tells the host.
func (a *app) follow(ctx context.Context) {
	if a.rec.Exit == nil {
		exit := a.await(ctx)
		a.rec.Exit = &exit
		if err := a.s.journal.put(a.name, a.rec); err != nil {
			log.Warn("the exit of an app could not be recorded", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
		}
	}
	a.turn.Close(a.rec.Exit.Code == 0)
	if !a.report(ctx) {
		return // the successor will
	}
	if err := a.forget(); err != nil {
		log.Warn("what a task left behind could not be removed", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
	}
}

// await returns once no process of the app is left and all its output has been read.
func (a *app) await(ctx context.Context) task.Exit {
	running, cancel := context.WithCancelCause(ctx)
	a.setStop(cancel)
	var watching, reading sync.WaitGroup
	watching.Go(func() {
		if a.endedByHost(running) {
			cancel(errEndedByHost)
		}
	})
	reading.Go(a.read(ctx))
	exit, err := a.proc.Wait(running)
	if err != nil {
		exit = a.end(context.Cause(running))
	}
	cancel(nil)
	watching.Wait()
	if a.pipe != nil {
		a.pipe.Finish()
	}
	reading.Wait()
	if exit.Detail == "" && a.mayQuote() {
		exit.Detail = string(a.lastLine)
	}
	a.note("task %d ended: code %d %s", a.rec.TaskID, exit.Code, exit.Signal)
	return exit
}

// end ends the process and reports how that went.
func (a *app) end(why error) task.Exit {
	log.Debug("ending an app", "run", a.rec.RunID, "task", a.rec.TaskID, "reason", why)
	a.proc.Stop(stopGrace)
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace+killLimit)
	defer cancel()
	exit, err := a.proc.Wait(ctx)
	if err != nil {
		log.Error("an app cannot be killed: it hangs in the kernel", "run", a.rec.RunID, "task", a.rec.TaskID, "process", a.proc.Handle())
		return process.UnknownExit("the process cannot be killed: it hangs in the kernel")
	}
	if exit.Detail == "" && why != nil {
		exit.Detail = "the process was ended: " + reasonOf(why)
	}
	return exit
}

// reasonOf puts the end of our own context into words.
func reasonOf(why error) string {
	if errors.Is(why, context.Canceled) {
		return "its SuperExec shut down"
	}
	return why.Error()
}

// forget removes all traces except the log.
func (a *app) forget() error {
	var errs []error
	if a.pipe != nil {
		errs = append(errs, a.pipe.Close())
	}
	if a.log != nil {
		errs = append(errs, a.log.Close())
	}
	a.pipe, a.log = nil, nil
	return errors.Join(append(errs, a.s.journal.forget(a.name))...)
}

func (a *app) openLog() {
	var err error
	if a.log, err = a.s.logs.Open(a.rec.RunID, a.rec.Type); err != nil {
		a.log = nil
		log.Warn("the output of an app cannot be kept", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
	}
}

func (a *app) note(format string, args ...any) {
	if a.log != nil {
		a.log.Note(format, args...)
	}
}

// setStop makes the process one that supersede can end.
func (a *app) setStop(stop context.CancelCauseFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop = stop
	if a.superseded {
		stop(errSuperseded)
	}
}

// supersede ends the app because its task was given out again. It is safe to call from any goroutine.
func (a *app) supersede() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.superseded = true
	if a.stop != nil {
		a.stop(errSuperseded)
	}
}
