package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// ClaimTask implements state.Tasks.
func (s *Store) ClaimTask(ctx context.Context, types []string) (t task.Task, token string, ok bool, err error) {
	err = s.write(ctx, func(c *change) error {
		var err error
		t, token, ok, err = tasktable.Claim(c.tx, c.now, types)
		if err != nil || !ok {
			return err
		}
		c.due(t.ActiveUntil)
		c.ring(state.KeyRun(t.RunID))
		return nil
	})
	if err != nil {
		return task.Task{}, "", false, err
	}
	return t, token, ok, nil
}

// ReleaseTask implements state.Tasks.
func (s *Store) ReleaseTask(ctx context.Context, taskID uint64) error {
	err := s.write(ctx, func(c *change) error {
		t, err := tasktable.Get(c.tx, taskID)
		if err != nil {
			return err
		}
		if t.Status != task.Starting {
			return task.ErrNotFound
		}
		if _, err := tasktable.Requeue(c.tx, taskID); err != nil {
			return err
		}
		c.ring(state.KeyPendingTask(), state.KeyRun(t.RunID), state.KeyTask(t.ID))
		return nil
	})
	if err != nil {
		return fmt.Errorf("give back task %d: %w", taskID, err)
	}
	return nil
}

// TaskByToken implements state.Tasks.
func (s *Store) TaskByToken(ctx context.Context, token string) (task.Task, error) {
	var t task.Task
	err := s.read(ctx, func(tx *sql.Tx) error {
		var err error
		t, err = tasktable.ByToken(tx, token)
		return err
	})
	return t, err
}

// Task implements state.Tasks.
func (s *Store) Task(ctx context.Context, taskID uint64) (task.Task, error) {
	var t task.Task
	err := s.read(ctx, func(tx *sql.Tx) error {
		var err error
		t, err = tasktable.Get(tx, taskID)
		return err
	})
	return t, err
}

// ActivateTask implements state.Tasks.
func (s *Store) ActivateTask(ctx context.Context, taskID uint64) error {
	return s.write(ctx, func(c *change) error {
		before, err := tasktable.Get(c.tx, taskID)
		if err != nil {
			return err
		}
		t, err := tasktable.Activate(c.tx, c.now, taskID)
		if err != nil {
			return err
		}
		c.due(t.ActiveUntil)
		if t.Status != before.Status {
			c.ring(state.KeyRun(t.RunID))
		}
		return nil
	})
}

// HeartbeatTask implements state.Tasks.
func (s *Store) HeartbeatTask(ctx context.Context, taskID uint64) (bool, error) {
	var alive bool
	err := s.write(ctx, func(c *change) error {
		var err error
		alive, err = tasktable.Heartbeat(c.tx, c.now, taskID)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("heartbeat of task %d: %w", taskID, err)
	}
	return alive, nil
}
