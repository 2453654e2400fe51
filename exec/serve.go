package exec

import (
	"context"

	"github.com/rhizome-fl/rhizome/exec/install"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// serve is the life of one task here, from claim to report.
func (s *superExec) serve(ctx context.Context, claimed *flwrpb.Task, token string) {
	a := &app{
		s: s, name: launchName(claimed.GetTaskId(), token), token: token,
		rec: record{TaskID: claimed.GetTaskId(), RunID: claimed.GetRunId(), Type: claimed.GetType(), FABHash: claimed.GetFabHash()},
	}
	s.enter(a)
	defer s.leave(a)
	waiting, cancel := context.WithTimeout(ctx, installWait)
	turn, err := s.gate.Enter(waiting, a.rec.FABHash)
	cancel()
	if err != nil {
		log.Warn("a task is going back to its host", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
		return
	}
	a.turn = turn
	if err := a.start(); err != nil {
		log.Error("an app could not be started", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
		a.fail(ctx, err)
		return
	}
	a.follow(ctx)
}

// takeBack carries on with the apps that outlived the previous SuperExec.
func (s *superExec) takeBack(ctx context.Context) error {
	found, err := s.journal.load()
	if err != nil {
		return err
	}
	for _, e := range found {
		a := &app{s: s, name: e.name, token: e.token, rec: e.record, turn: &install.Turn{}}
		if !a.attach() {
			// No app has failed, so none is reported: the claim expires, and the host gives the
			// task out again.
			log.Info("a task was not started before its SuperExec died; it is going back to its host", "run", a.rec.RunID, "task", a.rec.TaskID)
			if err := a.forget(); err != nil {
				log.Warn("what a task left behind could not be removed", "run", a.rec.RunID, "task", a.rec.TaskID, "err", err)
			}
			continue
		}
		s.enter(a)
		counted := false
		select {
		case s.slots <- struct{}{}:
			counted = true
		default: // the bound has been lowered since
		}
		s.apps.Go(func() {
			defer s.leave(a)
			if counted {
				defer func() { <-s.slots }()
			}
			a.follow(ctx)
		})
	}
	return nil
}

// enter ends an earlier launch of the same task: its claim must have expired.
func (s *superExec) enter(a *app) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.byTask[a.rec.TaskID]; before != nil {
		before.supersede()
	}
	s.byTask[a.rec.TaskID] = a
}

func (s *superExec) leave(a *app) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byTask[a.rec.TaskID] == a {
		delete(s.byTask, a.rec.TaskID)
	}
}
