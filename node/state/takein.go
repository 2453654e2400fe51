package state

import (
	"context"
	"database/sql"
	"fmt"
)

// Offer is an instruction that the SuperLink wants to hand over.
type Offer struct {
	MessageID string
	// Message and Tree are flwr.proto.Message and ObjectTree as they came.
	Message, Tree []byte
	// ObjectIDs are all objects of the tree.
	ObjectIDs []string
	Run       Run
}

// TakeIn notes an offered message and the objects it needs, so that they are kept while
// they arrive, and returns the state the message is in. Offering a message again changes
// nothing, unless its reply was confirmed: then the SuperLink has lost the reply, and the
// message begins anew. ErrTooMany.
func (s *Store) TakeIn(ctx context.Context, o Offer) (State, error) {
	s.refs.RLock()
	defer s.refs.RUnlock()
	var state State
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
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
		if err := upsertRun(tx, o.Run); err != nil {
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

// MarkComplete moves a message whose objects are all on disk from Gathering to Waiting: it
// is accepted. Repeating it is no error. ErrNotFound when its run was dropped meanwhile. Rings KeyWaiting.
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

// Refuse accepts a gathering message and answers it at once with an error, because the app
// cannot or must not run here. Rings KeyReplies.
func (s *Store) Refuse(ctx context.Context, messageID string, code int64, reason string) error {
	err := s.answerError(ctx, messageID, code, reason, func(_ *sql.Tx, m Instruction) error {
		if m.State != Gathering {
			return ErrAnswered
		}
		return nil
	}, nil)
	if err != nil {
		return err
	}
	s.bell.Ring(KeyReplies())
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
