package state

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Offer is an instruction that the SuperLink wants to hand over.
type Offer struct {
	MessageID string
	// Message and Tree are the flwr.proto.Message and ObjectTree as they came.
	Message, Tree []byte
	// ObjectIDs lists all objects of the tree.
	ObjectIDs []string
	Run       Run
}

// TakeIn records an offered message and the objects that it needs, so that they are kept as
// they arrive, and returns the state of the message. Offering a message again changes
// nothing, unless its reply was confirmed: then the SuperLink has lost the reply, and the
// message begins anew. It may return ErrTooMany or, whatever the state of the message, ErrOtherRun.
func (s *Store) TakeIn(ctx context.Context, o Offer) (State, error) {
	s.refs.RLock()
	defer s.refs.RUnlock()
	var state State
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := checkSameRun(tx, o.Run); err != nil {
			return err
		}
		var err error
		state, err = messageState(tx, o.MessageID)
		if err != nil {
			return err
		}
		if state != "" && state != Confirmed {
			return nil
		}
		if err := checkRoom(tx, o.Run.ID); err != nil {
			return err
		}
		if err := deleteMessages(tx, "message_id = ?", o.MessageID); err != nil {
			return err
		}
		if err := insertRun(tx, o.Run); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO messages (message_id, run_id, state, proto, tree) VALUES (?, ?, ?, ?, ?)`,
			o.MessageID, signed(o.Run.ID), Gathering, o.Message, o.Tree); err != nil {
			return err
		}
		state = Gathering
		return refer(tx, o.MessageID, o.ObjectIDs, 0)
	})
	if err != nil {
		return "", fmt.Errorf("store offered message %s: %w", o.MessageID, err)
	}
	return state, nil
}

// MarkComplete moves a message whose objects are all on disk from Gathering to Waiting: it is
// accepted. Repeating it is not an error. It returns ErrNotFound if the run was dropped in the
// meantime. It rings KeyWaiting.
func (s *Store) MarkComplete(ctx context.Context, messageID string) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		m, err := instruction(tx, messageID)
		if err != nil {
			return err
		}
		if m.State != Gathering {
			return nil
		}
		return setState(tx, messageID, Waiting)
	})
	if err != nil {
		return fmt.Errorf("accept message %s: %w", messageID, err)
	}
	s.bell.Ring(KeyWaiting())
	return nil
}

// Refuse answers a message with an error, because its app cannot or must not run here. If the
// message is leased, its task ends. It may return ErrAnswered. It rings KeyTask of that task,
// KeyReplies and KeyWaiting.
func (s *Store) Refuse(ctx context.Context, messageID string, code int64, reason string) error {
	var ended []uint64
	err := s.answerError(ctx, messageID, code, reason, func(_ *sql.Tx, m Instruction) error {
		if m.State == Answered || m.State == Confirmed {
			return ErrAnswered
		}
		return nil
	}, func(tx *sql.Tx) error {
		ended = nil
		ids, err := column[int64](tx, `SELECT task_id FROM tasks WHERE message_id = ? AND status <> 'finished'`, messageID)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := tasktable.Finish(tx, time.Now(), uint64(id), task.Failed, reason); err != nil {
				return err
			}
			ended = append(ended, uint64(id))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range ended {
		s.seen(id) // it is nobody's any more
		s.bell.Ring(KeyTask(id))
	}
	s.bell.Ring(KeyReplies(), KeyWaiting())
	return nil
}

// checkRoom refuses what would exceed the bounds of limits.go.
func checkRoom(tx *sql.Tx, runID uint64) error {
	var messages, runs int
	if err := tx.QueryRow(`SELECT (SELECT COUNT(*) FROM messages WHERE state <> 'confirmed'),
		(SELECT COUNT(*) FROM runs WHERE run_id <> ?)`, signed(runID)).Scan(&messages, &runs); err != nil {
		return err
	}
	if messages >= MaxMessages {
		return fmt.Errorf("%w: %d unanswered messages", ErrTooMany, messages)
	}
	if runs >= MaxRuns {
		return fmt.Errorf("%w: %d runs", ErrTooMany, runs)
	}
	return nil
}
