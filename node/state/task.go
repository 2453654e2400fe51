package state

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// TaskByToken resolves a token. It may return task.ErrUnknownToken.
func (s *Store) TaskByToken(ctx context.Context, token string) (t task.Task, err error) {
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		t, err = tasktable.ByToken(tx, token)
		return err
	})
	return t, err
}

// Task reads a task. It may return task.ErrNotFound.
func (s *Store) Task(ctx context.Context, taskID uint64) (t task.Task, err error) {
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		t, err = tasktable.Get(tx, taskID)
		return err
	})
	return t, err
}

// Activate moves a task from starting to running; repeating it is not an error. It may return
// task.ErrFinished or task.ErrNotFound.
func (s *Store) Activate(ctx context.Context, taskID uint64) error {
	s.seen(taskID)
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tasktable.Activate(tx, time.Now(), taskID)
		return err
	})
	if err != nil {
		return fmt.Errorf("start task %d: %w", taskID, err)
	}
	return nil
}

// Heartbeat extends a running task's life; it returns false if the task is no longer running.
func (s *Store) Heartbeat(ctx context.Context, taskID uint64) (alive bool, err error) {
	s.seen(taskID)
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		alive, err = tasktable.Heartbeat(tx, time.Now(), taskID)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("heartbeat of task %d: %w", taskID, err)
	}
	return alive, nil
}

func unfinished(t task.Task) error {
	if t.Status == task.Finished {
		return task.ErrFinished
	}
	return nil
}
