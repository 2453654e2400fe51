package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// A task whose process is gone is either given up or done again, depending on why it is gone:
//
//	the node was up all the time             the process failed: error 8
//	the node went down, or is going down     the process may have gone with it: again
//
// A task from before a restart counts as interrupted until its app shows a sign of life; from
// then on the first line applies to it too.

// resume marks what was under way when the node went down, and gives those processes time
// to show that they are alive.
func (s *Store) resume(ctx context.Context) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		active, err := tasktable.Active(tx)
		if err != nil {
			return err
		}
		s.inherited = make(map[uint64]struct{}, len(active))
		for _, t := range active {
			s.inherited[t.ID] = struct{}{}
		}
		return tasktable.Extend(tx, time.Now().Add(resumeGrace))
	})
}

// seen records a sign of life of a task's app.
func (s *Store) seen(taskID uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inherited, taskID)
}

// Stopping says that the node is about to go down and takes its processes with it: from
// now on, the loss of a process is an interruption and not the process's failure.
func (s *Store) Stopping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
}

func (s *Store) interrupted(taskID uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, inherited := s.inherited[taskID]
	return inherited || s.stopping
}

// Lost ends a task whose process is known to have ended without ending it: with an error
// for the SuperLink, or by ending the lease if the process went down with the node. It may
// return task.ErrFinished or task.ErrNotFound.
func (s *Store) Lost(ctx context.Context, taskID uint64, reason string) error {
	if s.interrupted(taskID) {
		return s.unlease(ctx, taskID, unfinished)
	}
	return s.fail(ctx, taskID, reason, unfinished)
}

// Expire ends the tasks whose deadline has passed and returns when the next deadline is (zero:
// there is none). It rings as AnswerWithError and Unlease do.
func (s *Store) Expire(ctx context.Context, now time.Time) (next time.Time, err error) {
	var active []task.Task
	err = s.db.Read(ctx, func(tx *sql.Tx) (err error) {
		active, err = tasktable.Active(tx)
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("look for overdue tasks: %w", err)
	}
	for _, t := range active {
		if t.ActiveUntil.After(now) {
			if next.IsZero() || t.ActiveUntil.Before(next) {
				next = t.ActiveUntil
			}
			continue
		}
		err := s.expire(ctx, t, now)
		if err != nil && !errors.Is(err, task.ErrFinished) && !errors.Is(err, task.ErrNotFound) && !errors.Is(err, errAlive) {
			return time.Time{}, err
		}
	}
	return next, nil
}

// errAlive says that a task showed a sign of life just before it would have been given up.
var errAlive = errors.New("task is alive")

func (s *Store) expire(ctx context.Context, t task.Task, now time.Time) error {
	overdue := func(t task.Task) error {
		if t.ActiveUntil.After(now) {
			return errAlive
		}
		return unfinished(t)
	}
	if t.Status == task.Starting || s.interrupted(t.ID) { // nobody came for it, or it went down with us
		return s.unlease(ctx, t.ID, overdue)
	}
	return s.fail(ctx, t.ID, stopped, overdue)
}
