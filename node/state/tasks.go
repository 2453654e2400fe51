package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// ErrNoReply says that a task can not be finished: its app has pushed no complete reply.
var ErrNoReply = errors.New("there is no complete reply")

// stopped is what a SuperNode answers for an app that went silent.
const stopped = "ClientApp stopped responding."

// Claim gives the next message to a process, if fewer than slots are being worked on: of
// the runs whose series is idle, the one that was served longest ago. ok is false if there
// is none. Rings KeyDeadline.
func (s *Store) Claim(ctx context.Context, types []string, slots int) (t task.Task, token string, ok bool, err error) {
	if !slices.Contains(types, task.TypeClientApp) {
		return task.Task{}, "", false, nil
	}
	for {
		var tired string // a message that was tried too often
		err = s.db.Write(ctx, func(tx *sql.Tx) error {
			t, token, tired = task.Task{}, "", ""
			next, attempts, err := s.next(tx, slots)
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
			return task.Task{}, "", false, fmt.Errorf("claim a task: %w", err)
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

// next finds the message whose turn it is; its MessageID is empty if there is none.
func (s *Store) next(tx *sql.Tx, slots int) (t task.Task, attempts int, err error) {
	var working int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM messages WHERE state = 'working'`).Scan(&working); err != nil {
		return task.Task{}, 0, err
	}
	if working >= slots {
		return task.Task{}, 0, nil
	}
	var runID int64
	err = tx.QueryRow(`SELECT m.message_id, m.run_id, m.attempts, r.fab_hash FROM messages m JOIN runs r USING (run_id)
		WHERE m.state = 'queued' AND r.series_id NOT IN
			(SELECT b.series_id FROM messages w JOIN runs b USING (run_id) WHERE w.state = 'working')
		ORDER BY r.served, m.seq LIMIT 1`).Scan(&t.MessageID, &runID, &attempts, &t.FABHash)
	if errors.Is(err, sql.ErrNoRows) {
		return task.Task{}, 0, nil
	}
	t.RunID, t.Type = uint64(runID), task.TypeClientApp
	return t, attempts, err
}

// start makes a claimed task of a queued message.
func (s *Store) start(tx *sql.Tx, t task.Task) (task.Task, string, error) {
	turn, err := tick(tx)
	if err != nil {
		return task.Task{}, "", err
	}
	if _, err := tx.Exec(`UPDATE runs SET served = ? WHERE run_id = ?`, turn, signed(t.RunID)); err != nil {
		return task.Task{}, "", err
	}
	if _, err := tx.Exec(`UPDATE messages SET state = 'working', attempts = attempts + 1 WHERE message_id = ?`, t.MessageID); err != nil {
		return task.Task{}, "", err
	}
	now := time.Now()
	t, err = tasktable.Create(tx, now, tasktable.New{RunID: t.RunID, Type: t.Type, FABHash: t.FABHash, MessageID: t.MessageID})
	if err != nil {
		return task.Task{}, "", err
	}
	return tasktable.ClaimID(tx, now, t.ID)
}

// TaskByToken resolves a token. task.ErrUnknownToken.
func (s *Store) TaskByToken(ctx context.Context, token string) (t task.Task, err error) {
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		t, err = tasktable.ByToken(tx, token)
		return err
	})
	return t, err
}

// Task reads a task. task.ErrNotFound.
func (s *Store) Task(ctx context.Context, taskID uint64) (t task.Task, err error) {
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		t, err = tasktable.Get(tx, taskID)
		return err
	})
	return t, err
}

// Activate moves a task from starting to running; repeating it is no error.
// task.ErrFinished, task.ErrNotFound.
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

// Heartbeat extends a running task's life; false when it is not running any more.
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

// PushReply keeps a reply that becomes the answer with Finish, and names the objects of it
// that are missing. Pushing the same reply again gives what is missing then. ErrAnswered
// for another one; ErrNotFound when the message was dropped.
func (s *Store) PushReply(ctx context.Context, t task.Task, r Reply) (missing []string, err error) {
	s.seen(t.ID)
	s.refs.RLock()
	defer s.refs.RUnlock()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := mustBeWorking(tx, t.MessageID); err != nil {
			return err
		}
		var pushed string
		err := tx.QueryRow(`SELECT reply_id FROM replies WHERE message_id = ?`, t.MessageID).Scan(&pushed)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return insertReply(tx, r, 0)
		case err != nil:
			return err
		case pushed != r.ReplyID:
			return ErrAnswered
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store reply to message %s: %w", t.MessageID, err)
	}
	missing, _, err = s.replyLacks(ctx, t.MessageID, r.ObjectIDs)
	return missing, err
}

// Pushed notes that the content of objects of a pushed reply came from its app: only then
// they count as there, whatever other runs have. Do so when they are on disk.
func (s *Store) Pushed(ctx context.Context, messageID string, objectIDs ...string) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE message_objects SET held = 1
			WHERE message_id = ? AND reply = 1 AND object_id IN (SELECT value FROM json_each(?))`, messageID, jsonList(objectIDs))
		return err
	})
	if err != nil {
		return fmt.Errorf("note objects of the reply to message %s: %w", messageID, err)
	}
	return nil
}

// replyLacks filters the objects of a pushed reply that are to be pushed, in the order of
// ids (nil: in any order); all is how many it has.
func (s *Store) replyLacks(ctx context.Context, messageID string, ids []string) (lacks []string, all int, err error) {
	held := make(map[string]bool)
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT object_id, held FROM message_objects JOIN replies USING (message_id) WHERE message_id = ? AND reply = 1`, messageID)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var is bool
			if err := rows.Scan(&id, &is); err != nil {
				return err
			}
			held[id] = is
		}
		return rows.Err()
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read reply to message %s: %w", messageID, err)
	}
	if ids == nil {
		ids = slices.Collect(maps.Keys(held))
	}
	seen := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if _, dup := seen[id]; !dup && (!held[id] || !s.objects.Has(id)) {
			lacks = append(lacks, id)
		}
		seen[id] = struct{}{}
	}
	return lacks, len(held), nil
}

// ReplyNeeds tells whether the object belongs to a pushed reply of the message.
func (s *Store) ReplyNeeds(ctx context.Context, messageID, objectID string) (needs bool, err error) {
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM message_objects WHERE message_id = ? AND object_id = ? AND reply = 1)`,
			messageID, objectID).Scan(&needs)
	})
	if err != nil {
		return false, fmt.Errorf("look up object %s: %w", objectID, err)
	}
	return needs, nil
}

// Finish ends a task whose app has pushed a complete reply: in one step the reply becomes
// the answer and seriesContext, unless nil, the context of the run's series. ErrNoReply,
// task.ErrFinished, task.ErrNotFound. Rings KeyReplies and KeyQueue.
func (s *Store) Finish(ctx context.Context, t task.Task, sub task.SubStatus, details string, seriesContext []byte) error {
	s.seen(t.ID)
	complete, err := s.replyComplete(ctx, t.MessageID)
	if err != nil {
		return err
	}
	if !complete {
		return ErrNoReply
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tasktable.Finish(tx, time.Now(), t.ID, sub, details); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE replies SET final = 1 WHERE message_id = ?`, t.MessageID); err != nil {
			return err
		}
		if seriesContext != nil {
			if err := setSeriesContext(tx, t.RunID, seriesContext); err != nil {
				return err
			}
		}
		return answered(tx, t.MessageID)
	})
	if err != nil {
		return fmt.Errorf("finish task %d: %w", t.ID, err)
	}
	s.bell.Ring(KeyReplies(), KeyQueue())
	return nil
}

// Fail ends a task and answers its message with an error. task.ErrFinished,
// task.ErrNotFound. Rings KeyTask, KeyReplies and KeyQueue.
func (s *Store) Fail(ctx context.Context, taskID uint64, reason string) error {
	return s.fail(ctx, taskID, reason, unfinished)
}

// fail is Fail if the task passes the check at the moment of truth.
func (s *Store) fail(ctx context.Context, taskID uint64, reason string, check func(task.Task) error) error {
	t, err := s.Task(ctx, taskID)
	if err != nil {
		return err
	}
	err = s.answerWithError(ctx, t.MessageID, flwr.ErrorClientAppCrashed, reason, func(tx *sql.Tx, _ Instruction) error {
		now, err := tasktable.Get(tx, taskID)
		if err != nil {
			return err
		}
		return check(now)
	}, func(tx *sql.Tx) error {
		_, err := tasktable.Finish(tx, time.Now(), taskID, task.Failed, reason)
		return err
	})
	if err != nil {
		return err
	}
	s.bell.Ring(KeyTask(taskID), KeyReplies(), KeyQueue())
	return nil
}

func unfinished(t task.Task) error {
	if t.Status == task.Finished {
		return task.ErrFinished
	}
	return nil
}

// giveUp answers a queued message that no process has survived.
func (s *Store) giveUp(ctx context.Context, messageID string) error {
	reason := fmt.Sprintf("%s It was started %d times.", stopped, MaxAttempts)
	err := s.answerWithError(ctx, messageID, flwr.ErrorClientAppCrashed, reason, func(_ *sql.Tx, m Instruction) error {
		if m.State != Queued {
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

// replyComplete tells whether the pushed reply of a message has all its objects.
func (s *Store) replyComplete(ctx context.Context, messageID string) (bool, error) {
	lacks, all, err := s.replyLacks(ctx, messageID, nil)
	return all > 0 && len(lacks) == 0, err
}

func mustBeWorking(tx *sql.Tx, messageID string) error {
	m, err := instruction(tx, messageID)
	switch {
	case err != nil:
		return err
	case m.State == Answered || m.State == Done:
		return ErrAnswered
	case m.State != Working:
		return ErrNotFound
	}
	return nil
}
