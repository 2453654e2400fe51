package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// stopped is what a SuperNode answers for an app that went silent.
const stopped = "ClientApp stopped responding."

// Lease gives the next waiting message to a process, as a claimed task, if fewer than slots
// are leased: of the runs whose series is idle and whose app the policy has allowed, it picks the
// one that was served longest ago. ok is false if there is none. It rings KeyDeadline.
func (s *Store) Lease(ctx context.Context, types []string, slots int, policy string) (t task.Task, token string, ok bool, err error) {
	if !slices.Contains(types, task.TypeClientApp) {
		return task.Task{}, "", false, nil
	}
	for {
		var tired string // a message that was tried too often
		err = s.db.Write(ctx, func(tx *sql.Tx) error {
			t, token, tired = task.Task{}, "", ""
			next, attempts, err := s.next(tx, slots, policy)
			if err != nil || next.MessageID == "" {
				return err
			}
			if attempts >= MaxAttempts {
				tired = next.MessageID
				return nil
			}
			t, token, err = s.start(tx, next)
			return err
		})
		if err != nil {
			return task.Task{}, "", false, fmt.Errorf("lease a message: %w", err)
		}
		if tired == "" {
			break
		}
		if err := s.giveUp(ctx, tired); err != nil {
			return task.Task{}, "", false, err
		}
	}
	if token == "" {
		return task.Task{}, "", false, nil
	}
	s.bell.Ring(KeyDeadline())
	return t, token, true, nil
}

// Unlease takes back a lease that did not reach its executor. It returns task.ErrNotFound if the
// task has been started or has ended in the meantime.
func (s *Store) Unlease(ctx context.Context, taskID uint64) error {
	return s.unlease(ctx, taskID, func(t task.Task) error {
		if t.Status != task.Starting {
			return task.ErrNotFound
		}
		return nil
	})
}

// next finds the message whose turn it is; its MessageID is empty if there is none.
func (s *Store) next(tx *sql.Tx, slots int, policy string) (t task.Task, attempts int, err error) {
	var leased int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM messages WHERE state = 'leased'`).Scan(&leased); err != nil {
		return task.Task{}, 0, err
	}
	if leased >= slots {
		return task.Task{}, 0, nil
	}
	var runID int64
	err = tx.QueryRow(`SELECT m.message_id, m.run_id, m.attempts, r.fab_hash FROM messages m JOIN runs r USING (run_id)
		WHERE m.state = 'waiting' AND `+allowed+` AND r.series_id NOT IN
			(SELECT b.series_id FROM messages w JOIN runs b USING (run_id) WHERE w.state = 'leased')
		ORDER BY r.served, m.seq LIMIT 1`, policy).Scan(&t.MessageID, &runID, &attempts, &t.FABHash)
	if errors.Is(err, sql.ErrNoRows) {
		return task.Task{}, 0, nil
	}
	t.RunID, t.Type = uint64(runID), task.TypeClientApp
	return t, attempts, err
}

// start turns a waiting message into a claimed task.
func (s *Store) start(tx *sql.Tx, t task.Task) (task.Task, string, error) {
	turn, err := tick(tx)
	if err != nil {
		return task.Task{}, "", err
	}
	if _, err := tx.Exec(`UPDATE runs SET served = ? WHERE run_id = ?`, turn, signed(t.RunID)); err != nil {
		return task.Task{}, "", err
	}
	if _, err := tx.Exec(`UPDATE messages SET state = 'leased', attempts = attempts + 1 WHERE message_id = ?`, t.MessageID); err != nil {
		return task.Task{}, "", err
	}
	now := time.Now()
	t, err = tasktable.Create(tx, now, tasktable.New{RunID: t.RunID, Type: t.Type, FABHash: t.FABHash, MessageID: t.MessageID})
	if err != nil {
		return task.Task{}, "", err
	}
	return tasktable.ClaimID(tx, now, t.ID)
}

// giveUp answers a waiting message that no process has survived.
func (s *Store) giveUp(ctx context.Context, messageID string) error {
	reason := fmt.Sprintf("%s It was started %d times.", stopped, MaxAttempts)
	err := s.answerError(ctx, messageID, flwr.ErrorClientAppCrashed, reason, func(_ *sql.Tx, m Instruction) error {
		if m.State != Waiting {
			return ErrAnswered
		}
		return nil
	}, nil)
	if err != nil && !errors.Is(err, ErrAnswered) && !errors.Is(err, ErrNotFound) {
		return err
	}
	s.bell.Ring(KeyReplies())
	return nil
}

// unlease ends a task and puts its message back in line; what its app pushed is dropped.
func (s *Store) unlease(ctx context.Context, taskID uint64, check func(task.Task) error) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		t, err := tasktable.Get(tx, taskID)
		if err != nil {
			return err
		}
		if err := check(t); err != nil {
			return err
		}
		if err := mustBeLeased(tx, t.MessageID); err != nil {
			return err
		}
		if err := dropReply(tx, t.MessageID); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM tasks WHERE task_id = ?`, signed(taskID)); err != nil {
			return err
		}
		return setState(tx, t.MessageID, Waiting)
	})
	if err != nil {
		return fmt.Errorf("end the lease of task %d: %w", taskID, err)
	}
	s.seen(taskID) // it no longer belongs to any process
	s.bell.Ring(KeyTask(taskID), KeyWaiting(), KeyGarbage())
	return nil
}
