package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// State of a message, drawn in the package comment.
type State string

// The states of a message.
const (
	Offered  State = "offered"
	Queued   State = "queued"
	Working  State = "working"
	Answered State = "answered"
	Done     State = "done"
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

// Instruction is a message that this node has accepted.
type Instruction struct {
	MessageID     string
	RunID         uint64
	State         State
	Message, Tree []byte
}

// Inventory is what a node tells the SuperLink about itself when a session begins.
type Inventory struct {
	// Accepted are messages that the node has and has not answered.
	Accepted []string
	// Answered are messages whose answer the SuperLink has not acknowledged.
	Answered []string
	// RunIDs are all runs that the node holds anything for.
	RunIDs []uint64
}

// AddOffer notes an offered message and the objects it needs, so that they are kept while
// they arrive, and returns the state the message is in. Offering a message again changes
// nothing, unless it was done: then the SuperLink has lost the answer and the message
// begins anew. ErrTooMany.
func (s *Store) AddOffer(ctx context.Context, o Offer) (State, error) {
	s.refs.RLock()
	defer s.refs.RUnlock()
	var state State
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		var err error
		state, err = messageState(tx, o.MessageID)
		if err != nil {
			return err
		}
		if state != "" && state != Done {
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
			o.MessageID, signed(o.Run.ID), Offered, o.Message, o.Tree); err != nil {
			return err
		}
		state = Offered
		return refer(tx, o.MessageID, o.ObjectIDs, 0)
	})
	if err != nil {
		return "", fmt.Errorf("store offered message %s: %w", o.MessageID, err)
	}
	return state, nil
}

// Missing filters the objects that are not on disk, without duplicates, in the order given.
func (s *Store) Missing(ids []string) []string {
	var missing []string
	seen := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if _, dup := seen[id]; dup {
			continue
		}
		seen[id] = struct{}{}
		if !s.objects.Has(id) {
			missing = append(missing, id)
		}
	}
	return missing
}

// Accept queues an offered message whose objects are all on disk. Repeating it is no
// error. ErrNotFound when its run was dropped meanwhile. Rings KeyQueue.
func (s *Store) Accept(ctx context.Context, messageID string) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		m, err := instruction(tx, messageID)
		if err != nil {
			return err
		}
		if m.State != Offered {
			return nil
		}
		return setState(tx, messageID, Queued)
	})
	if err != nil {
		return fmt.Errorf("accept message %s: %w", messageID, err)
	}
	s.bell.Ring(KeyQueue())
	return nil
}

// Reject accepts an offered message and answers it at once with an error, because the app
// can not or must not run here. Rings KeyReplies.
func (s *Store) Reject(ctx context.Context, messageID string, code int64, reason string) error {
	err := s.answerWithError(ctx, messageID, code, reason, func(_ *sql.Tx, m Instruction) error {
		if m.State != Offered {
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

// Instruction reads an accepted or offered message. ErrNotFound.
func (s *Store) Instruction(ctx context.Context, messageID string) (Instruction, error) {
	var m Instruction
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		var err error
		m, err = instruction(tx, messageID)
		return err
	})
	if err != nil {
		return Instruction{}, fmt.Errorf("read message %s: %w", messageID, err)
	}
	return m, nil
}

// Inventory tells what the node has; see [Inventory].
func (s *Store) Inventory(ctx context.Context) (Inventory, error) {
	var inv Inventory
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		var err error
		if inv.Accepted, err = column[string](tx, `SELECT message_id FROM messages WHERE state IN ('queued', 'working') ORDER BY seq`); err != nil {
			return err
		}
		if inv.Answered, err = column[string](tx, `SELECT message_id FROM messages WHERE state = 'answered' ORDER BY seq`); err != nil {
			return err
		}
		ids, err := column[int64](tx, `SELECT run_id FROM runs ORDER BY run_id`)
		for _, id := range ids {
			inv.RunIDs = append(inv.RunIDs, uint64(id))
		}
		return err
	})
	if err != nil {
		return Inventory{}, fmt.Errorf("read inventory: %w", err)
	}
	return inv, nil
}

// HasObject tells whether a message of the run refers to the object and was given it, or
// its bundle is it.
func (s *Store) HasObject(ctx context.Context, runID uint64, objectID string) (bool, error) {
	var has bool
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT
			EXISTS (SELECT 1 FROM message_objects o JOIN messages m USING (message_id) WHERE o.object_id = ? AND m.run_id = ? AND o.held = 1)
			OR EXISTS (SELECT 1 FROM runs WHERE run_id = ? AND fab_hash = ?)`,
			objectID, signed(runID), signed(runID), objectID).Scan(&has)
	})
	if err != nil {
		return false, fmt.Errorf("look up object %s: %w", objectID, err)
	}
	return has, nil
}

// checkRoom refuses what would exceed the bounds of limits.go.
func checkRoom(tx *sql.Tx, runID uint64) error {
	var messages, runs int
	if err := tx.QueryRow(`SELECT (SELECT COUNT(*) FROM messages WHERE state <> 'done'),
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

func messageState(tx *sql.Tx, messageID string) (State, error) {
	var state State
	err := tx.QueryRow(`SELECT state FROM messages WHERE message_id = ?`, messageID).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return state, err
}

func instruction(tx *sql.Tx, messageID string) (Instruction, error) {
	m := Instruction{MessageID: messageID}
	var runID int64
	err := tx.QueryRow(`SELECT run_id, state, proto, tree FROM messages WHERE message_id = ?`, messageID).
		Scan(&runID, &m.State, &m.Message, &m.Tree)
	if errors.Is(err, sql.ErrNoRows) {
		return Instruction{}, ErrNotFound
	}
	m.RunID = uint64(runID)
	return m, err
}

func setState(tx *sql.Tx, messageID string, state State) error {
	_, err := tx.Exec(`UPDATE messages SET state = ? WHERE message_id = ?`, state, messageID)
	return err
}

// refer notes that a message (reply 0) or its reply (1) needs objects.
func refer(tx *sql.Tx, messageID string, ids []string, reply int) error {
	_, err := tx.Exec(`INSERT OR IGNORE INTO message_objects (message_id, object_id, reply) SELECT ?, value, ? FROM json_each(?)`,
		messageID, reply, jsonList(ids))
	return err
}

// deleteMessages removes messages, their replies and tasks, and leaves their objects to Collect.
func deleteMessages(tx *sql.Tx, where string, args ...any) error {
	which := `SELECT message_id FROM messages WHERE ` + where
	for _, statement := range []string{
		`INSERT OR IGNORE INTO garbage SELECT object_id FROM message_objects WHERE message_id IN (` + which + `)`,
		`DELETE FROM tasks WHERE message_id IN (` + which + `)`,
		`DELETE FROM messages WHERE ` + where,
	} {
		if _, err := tx.Exec(statement, args...); err != nil {
			return err
		}
	}
	return nil
}
