package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// State is that of a message (an instruction of a ServerApp to this node). The words are the
// same as on the SuperLink (package link/state), where the message stays until this node's
// reply to it is confirmed:
//
//	   TakeIn             MarkComplete           Lease              Answer, AnswerWithError, Lost      Confirm
//	───────────► Gathering ───────────► Waiting ───────────► Leased ────────────────────────► Answered ───────► Confirmed
//	                 │                     ▲                   │                                  ▲
//	                 │                     └───────────────────┘                                  │
//	                 │                     Unlease, Expire, Lost: its process went down with us   │
//	                 └── Refuse: the app cannot or must not run here ─────────────────────────────┘
//
// Refuse may also come later, from Waiting and Leased, when the site's policy has changed. Only a
// message whose app the policy has allowed is leased (see [Decision]).
//
// DropRun removes all messages of a run, whatever their state. A confirmed message is
// of no further interest, but its objects may be, for the messages that come next.
type State string

// The states of a message, as they are stored.
const (
	// Gathering: offered, but not everything that belongs to it is here yet.
	Gathering State = "gathering"
	// Waiting: complete and accepted, and waiting for a slot.
	Waiting State = "waiting"
	// Leased: a ClientApp is working on it.
	Leased State = "leased"
	// Answered: there is a reply, which is delivered until it is confirmed.
	Answered State = "answered"
	// Confirmed: the SuperLink has stored the reply, or does not want one.
	Confirmed State = "confirmed"
)

// Instruction is a message that this node has taken in.
type Instruction struct {
	MessageID     string
	RunID         uint64
	State         State
	Message, Tree []byte
}

// Instruction reads a message. It may return ErrNotFound.
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

func mustBeLeased(tx *sql.Tx, messageID string) error {
	m, err := instruction(tx, messageID)
	switch {
	case err != nil:
		return err
	case m.State == Answered || m.State == Confirmed:
		return ErrAnswered
	case m.State != Leased:
		return ErrNotFound
	}
	return nil
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
