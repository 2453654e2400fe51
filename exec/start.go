package exec

import (
	"context"
	"errors"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/output"
	"github.com/rhizome-fl/rhizome/exec/process"
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
		// The app runs and is looked after; only a successor would have to search for it.
		log.Warn("the process of an app could not be recorded", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
	}
	return nil
}

// attach finds the process that an earlier SuperExec started, and its output. It returns false
// if that SuperExec died before there was a process.
func (a *app) attach() bool {
	var err error
	switch {
	case a.rec.Exit != nil: // only the report is missing
		return true
	case len(a.rec.Handle) > 0:
		if a.proc, err = a.s.executor.Attach(a.rec.Handle); err != nil {
			a.rec.Exit = new(process.UnknownExit(oneLine(err.Error())))
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
		log.Warn("the output of an app that was taken back is lost", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
	}
	return true
}

// fail reports an app that could not be started.
func (a *app) fail(ctx context.Context, cause error) {
	a.turn.Close(false)
	a.rec.Exit = new(process.UnknownExit(oneLine("the process could not be started: " + cause.Error())))
	a.report(ctx) // without a record nobody could repeat it; the claim expires
}
