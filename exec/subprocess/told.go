package subprocess

import (
	"context"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Told makes a Process of an app whose parent is another process, which will report its exit:
// exit carries one value once the app and all of its group have ended, or is closed if the parent
// is lost; from then on the app is like one that was taken back.
func (e *Executor) Told(id process.Identity, exit <-chan task.Exit) executor.Process {
	if err := e.limits.apply(id.PID); err != nil {
		log.Warn("an app runs without its limits", "pid", id.PID, "err", err)
	}
	return &told{app: &app{id: id}, exit: exit}
}

type told struct {
	*app
	exit <-chan task.Exit
	last *task.Exit
}

func (t *told) Wait(ctx context.Context) (task.Exit, error) {
	if t.last != nil {
		return *t.last, nil
	}
	select {
	case exit, ok := <-t.exit:
		if !ok {
			return t.app.Wait(ctx)
		}
		t.forbidSignals()
		t.last = &exit
		return exit, nil
	case <-ctx.Done():
		return task.Exit{}, ctx.Err()
	}
}

// forbidSignals is end without the kill: the parent has dealt with the group and has
// collected the leader, so by now the pid may belong to another process.
func (a *app) forbidSignals() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if a.timer != nil {
		a.timer.Stop()
	}
}
