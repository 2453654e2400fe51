package exec

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/install"
	"github.com/rhizome-fl/rhizome/exec/output"
	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// app is one launch of a task. One goroutine runs it; only supersede is for others.
type app struct {
	s     *superExec
	name  string // in the journal
	token string
	rec   record
	turn  *install.Turn

	proc executor.Process // nil if there is none (any more)
	pipe *output.Pipe     // nil if its output can not be read
	log  *output.Log      // nil if its output can not be kept

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

// start launches the process. On failure nothing of it is left.
func (a *app) start() (err error) {
	j := a.s.journal
	defer func() {
		if err != nil {
			err = errors.Join(err, a.forget())
		}
	}()
	if err := j.begin(a.name, a.token, a.rec); err != nil {
		return err
	}
	if a.pipe, err = output.CreatePipe(j.pipeFile(a.name)); err != nil {
		return err
	}
	end, err := a.pipe.AppEnd()
	if err != nil {
		return err
	}
	defer end.Close()
	a.openLog()
	a.proc, err = a.s.executor.Start(executor.Spec{
		Type:      a.rec.Type,
		FABHash:   a.rec.FABHash,
		Args:      append(a.s.cfg.appArgs(), "--token-file", j.tokenFile(a.name)),
		TokenFile: j.tokenFile(a.name),
		Env:       a.s.cfg.appEnv(a.s.home),
		Output:    end,
	})
	if err != nil {
		return err
	}
	a.note("task %d starts (%s)", a.rec.TaskID, a.proc.Handle())
	a.rec.Handle = a.proc.Handle()
	if err := j.put(a.name, a.rec); err != nil {
		// It runs and is looked after; only a successor would have to search for it.
		log.Warn(err)
	}
	return nil
}

// attach finds the process of an earlier SuperExec and its output. False says that the
// earlier one died before there was a process.
func (a *app) attach() bool {
	var err error
	switch {
	case a.rec.Exit != nil: // only the report is missing
		return true
	case len(a.rec.Handle) > 0:
		if a.proc, err = a.s.executor.Attach(a.rec.Handle); err != nil {
			a.rec.Exit = &runtimeapi.Exit{Code: -1, Detail: oneLine(err.Error())}
			return true
		}
	default:
		if a.proc, err = a.s.executor.Find(a.s.journal.tokenFile(a.name)); err != nil {
			return false
		}
	}
	a.s.gate.InUse(a.rec.FABHash)
	a.openLog()
	a.note("task %d taken back (%s)", a.rec.TaskID, a.proc.Handle())
	if a.pipe, err = output.OpenPipe(a.s.journal.pipeFile(a.name)); err != nil {
		log.Warn(err)
	}
	return true
}

// follow sees the app to its end and tells the host.
func (a *app) follow(ctx context.Context) {
	if a.rec.Exit == nil {
		exit := a.await(ctx)
		a.rec.Exit = &exit
		if err := a.s.journal.put(a.name, a.rec); err != nil {
			log.Warn(err)
		}
	}
	a.turn.Close(a.rec.Exit.Code == 0)
	if !a.report(ctx) {
		return // the successor will
	}
	if err := a.forget(); err != nil {
		log.Warnf("clean up after task %d: %v", a.rec.TaskID, err)
	}
}

// await returns when no process of the app is left and all its output is read.
func (a *app) await(ctx context.Context) runtimeapi.Exit {
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

// end ends the process.
func (a *app) end(why error) runtimeapi.Exit {
	log.Debugf("end the app of task %d: %v", a.rec.TaskID, why)
	a.proc.Stop(stopGrace)
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace+killLimit)
	defer cancel()
	exit, err := a.proc.Wait(ctx)
	if err != nil {
		log.Errorf("the app of task %d can not be killed (%s): it hangs in the kernel", a.rec.TaskID, a.proc.Handle())
		return runtimeapi.Exit{Code: -1, Detail: "the process can not be killed: it hangs in the kernel"}
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

// endedByHost waits for the host to end the task. False says that it will not tell us.
func (a *app) endedByHost(ctx context.Context) bool {
	var retry retrier
	for {
		err := a.s.api.awaitEnd(ctx, a.token)
		switch {
		case ctx.Err() != nil, errors.Is(err, errUnsupported):
			return false
		case err == nil:
			return true
		case errors.Is(err, errDeadToken):
			return sleep(ctx, deadTokenGrace)
		case isPermanent(err):
			log.Warnf("the host does not tell when task %d ends: %v", a.rec.TaskID, err)
			return false
		}
		if !retry.wait(ctx) {
			return false
		}
	}
}

// read returns the function that reads the output to its end: into the log, past the gate
// of the installation, and to the host if lines are shared.
func (a *app) read(ctx context.Context) func() {
	if a.pipe == nil {
		return func() {}
	}
	forward := func([]byte) {}
	finish := func() {}
	if a.sharesLines() {
		forward, finish = a.forward(ctx)
	}
	return func() {
		defer finish()
		err := a.pipe.Lines(func(line []byte) {
			if a.log != nil {
				a.log.WriteLine(line)
			}
			a.turn.Output(line)
			forward(line)
			if len(strings.TrimSpace(string(line))) > 0 {
				a.lastLine = slices.Clone(line[:min(len(line), maxDetail)])
			}
		})
		if err != nil {
			log.Warnf("task %d: %v", a.rec.TaskID, err)
		}
	}
}

// forward starts to send lines. finish sends what is left, within a limit.
func (a *app) forward(ctx context.Context) (add func([]byte), finish func()) {
	f := newForwarder(func(ctx context.Context, lines []string) error {
		return a.s.api.pushLogs(ctx, a.token, a.rec.RunID, lines)
	})
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var sender sync.WaitGroup
	sender.Go(func() { f.run(sending) })
	return f.add, func() {
		f.close()
		limit := time.AfterFunc(partingLimit, cancel)
		sender.Wait()
		limit.Stop()
		cancel()
	}
}

// sharesLines: a ServerApp sends its lines itself.
func (a *app) sharesLines() bool { return a.s.cfg.ShareLogs && a.rec.Type == task.TypeClientApp }

// mayQuote says whether a line of the app may leave this machine.
func (a *app) mayQuote() bool { return a.s.cfg.ShareLogs || a.rec.Type == task.TypeServerApp }

// report tells the host how the process ended. False says that the host could not be told.
func (a *app) report(ctx context.Context) bool {
	var retry retrier
	for {
		err := a.s.api.reportExit(ctx, a.token, *a.rec.Exit)
		if ctx.Err() != nil {
			break
		}
		if told(err) {
			return true
		}
		log.Debugf("report the end of task %d: %v", a.rec.TaskID, err)
		if !retry.wait(ctx) {
			break
		}
	}
	parting, cancel := context.WithTimeout(context.WithoutCancel(ctx), partingLimit)
	defer cancel()
	return told(a.s.api.reportExit(parting, a.token, *a.rec.Exit))
}

// told says that there is nothing more to tell: the host knows, or does not want to.
func told(err error) bool {
	return err == nil || errors.Is(err, errUnsupported) || errors.Is(err, errDeadToken) || isPermanent(err)
}

// fail reports an app that could not be started.
func (a *app) fail(ctx context.Context, cause error) {
	a.turn.Close(false)
	a.rec.Exit = &runtimeapi.Exit{Code: -1, Detail: oneLine("the process could not be started: " + cause.Error())}
	a.report(ctx) // without a record nobody could repeat it; the claim expires
}

// forget removes all traces but the log.
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
		log.Warnf("the output of task %d is not kept: %v", a.rec.TaskID, err)
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

// supersede ends the app because its task was given out again. Safe from any goroutine.
func (a *app) supersede() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.superseded = true
	if a.stop != nil {
		a.stop(errSuperseded)
	}
}

// oneLine makes text fit for a report.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "..."
	}
	return text
}
