package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
)

// InsertReply implements state.Messages.
func (s *Store) InsertReply(ctx context.Context, m state.Message, runtime time.Duration) error {
	err := s.write(ctx, func(c *change) error {
		target, err := replyTarget(c, m)
		if err != nil {
			return err
		}
		before, complete, err := replyOf(c.tx, target.seq)
		if err != nil {
			return err
		}
		switch {
		case before == "":
			if err := insertReply(c, target, m, runtime); err != nil {
				return err
			}
		case before != m.ID:
			return fmt.Errorf("%w: instruction %s has the reply %s", state.ErrNotAllowed, m.ReplyTo, before)
		}
		if err := holdObjects(c.tx, m.RunID, m.Brought); err != nil {
			return err
		}
		if complete || m.State == state.Gathering {
			return nil
		}
		if before != "" {
			if _, err := c.tx.Exec(`UPDATE replies SET complete = 1 WHERE instruction = ?`, target.seq); err != nil {
				return err
			}
		}
		return replyComplete(c, target.seq)
	})
	if err != nil {
		return fmt.Errorf("store reply %s of node %d: %w", m.ID, m.NodeID, err)
	}
	return nil
}

// target is the instruction that a reply answers.
type target struct {
	seq     int64
	expires int64
}

// replyTarget finds the instruction, if this node may answer it in this run; else ErrNotFound.
func replyTarget(c *change, m state.Message) (target, error) {
	var t target
	var run, node int64
	err := c.tx.QueryRow(`SELECT seq, run_id, node_id, expires_at FROM instructions WHERE message_id = ?`, m.ReplyTo).
		Scan(&t.seq, &run, &node, &t.expires)
	if err != nil {
		return target{}, fmt.Errorf("instruction %s: %w", m.ReplyTo, notFound(err))
	}
	if uint64(run) != m.RunID || uint64(node) != m.NodeID || t.expires <= sqldb.Micro(c.now) {
		return target{}, fmt.Errorf("instruction %s does not belong to this node and run, or has expired: %w", m.ReplyTo, state.ErrNotFound)
	}
	return t, nil
}

// replyOf is the reply that an instruction has; an empty id means that there is none.
func replyOf(tx *sql.Tx, instruction int64) (id string, complete bool, err error) {
	err = tx.QueryRow(`SELECT message_id, complete FROM replies WHERE instruction = ?`, instruction).Scan(&id, &complete)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return id, complete, err
}

func insertReply(c *change, t target, m state.Message, runtime time.Duration) error {
	// The sender's clock may be wrong; a reply never outlives its instruction.
	expires := min(sqldb.Micro(m.ExpiresAt()), t.expires)
	_, err := c.tx.Exec(`INSERT INTO replies (instruction, message_id, complete, proto, tree, created_at, ttl, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		t.seq, m.ID, m.State != state.Gathering, blob(m.Proto), blob(m.Tree), m.CreatedAt, m.TTL, expires)
	if err != nil {
		return err
	}
	if _, err := c.tx.Exec(`UPDATE instructions SET state = 'delivered', lease_until = 0 WHERE seq = ?`, t.seq); err != nil {
		return err
	}
	return addClientAppTime(c.tx, m.RunID, runtime)
}

// replyComplete records with the instruction that it is answered.
func replyComplete(c *change, instruction int64) error {
	var run int64
	var id string
	err := c.tx.QueryRow(`UPDATE instructions SET replied = 1 WHERE seq = ? RETURNING run_id, message_id`, instruction).Scan(&run, &id)
	if err != nil {
		return fmt.Errorf("record that an instruction is answered: %w", err)
	}
	c.then(func(b *board) { b.replied(uint64(run), id, true) })
	c.ring(state.KeyReplies(uint64(run)))
	return nil
}

// ConfirmReply implements state.Messages.
func (s *Store) ConfirmReply(ctx context.Context, runID uint64, replyID string) error {
	err := s.write(ctx, func(c *change) error {
		return dropInstructions(c, `run_id = ? AND seq IN (SELECT instruction FROM replies WHERE message_id = ? AND complete = 1)`,
			int64(runID), replyID)
	})
	if err != nil {
		return fmt.Errorf("confirm reply %s: %w", replyID, err)
	}
	return nil
}

// DropMessages implements state.Messages.
func (s *Store) DropMessages(ctx context.Context, messageIDs []string, reason string) error {
	if len(messageIDs) == 0 {
		return nil
	}
	err := s.write(ctx, func(c *change) error {
		if err := dropInstructions(c, `message_id`+inList, listOf(messageIDs)); err != nil {
			return err
		}
		answered, err := column[int64](c.tx, `DELETE FROM replies WHERE message_id`+inList+`RETURNING instruction`, listOf(messageIDs))
		if err != nil {
			return err
		}
		for _, seq := range answered {
			if err := unanswer(c, seq); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop messages (%s): %w", reason, err)
	}
	log.Debug("dropped messages", "count", len(messageIDs), "reason", reason)
	return nil
}

// dropInstructions removes instructions and, with them, their replies.
func dropInstructions(c *change, where string, args ...any) error {
	return each(c.tx, func(scan func(...any) error) error {
		var run int64
		var id string
		if err := scan(&run, &id); err != nil {
			return err
		}
		c.then(func(b *board) { b.close(uint64(run), id) })
		c.ring(state.KeyReplies(uint64(run)))
		return nil
	}, `DELETE FROM instructions WHERE `+where+` RETURNING run_id, message_id`, args...)
}

// unanswer records with an instruction that its reply is gone.
func unanswer(c *change, instruction int64) error {
	var run int64
	var id string
	err := c.tx.QueryRow(`UPDATE instructions SET replied = 0 WHERE seq = ? RETURNING run_id, message_id`, instruction).Scan(&run, &id)
	if err != nil {
		return fmt.Errorf("record that an instruction is not answered: %w", err)
	}
	c.then(func(b *board) { b.replied(uint64(run), id, false) })
	c.ring(state.KeyReplies(uint64(run)))
	return nil
}

// Message implements state.Messages.
func (s *Store) Message(ctx context.Context, messageID string) (state.Message, error) {
	var found []state.Message
	err := s.read(ctx, func(tx *sql.Tx) error {
		var err error
		found, err = instructions(tx, `SELECT `+instructionColumns+` FROM instructions WHERE message_id = ?`, messageID)
		if err == nil && len(found) == 0 {
			found, err = replies(tx, `r.message_id = ?`, messageID)
		}
		if err == nil && len(found) == 0 {
			err = state.ErrNotFound
		}
		return err
	})
	if err != nil {
		return state.Message{}, fmt.Errorf("read message %.80s: %w", messageID, err)
	}
	return found[0], nil
}

// GatheringMessages implements state.Messages.
func (s *Store) GatheringMessages(ctx context.Context) ([]state.Message, error) {
	var msgs []state.Message
	err := s.read(ctx, func(tx *sql.Tx) error {
		var err error
		msgs, err = instructions(tx, `SELECT `+instructionColumns+` FROM instructions WHERE state = 'gathering'`)
		if err != nil {
			return err
		}
		more, err := replies(tx, `r.complete = 0`)
		msgs = append(msgs, more...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list incomplete messages: %w", err)
	}
	return msgs, nil
}

// replies reads replies in the order of their instructions.
func replies(tx *sql.Tx, where string, args ...any) ([]state.Message, error) {
	var msgs []state.Message
	err := each(tx, func(scan func(...any) error) error {
		var m state.Message
		var run, node int64
		var complete bool
		if err := scan(&m.ID, &run, &node, &m.ReplyTo, &complete, &m.Proto, &m.Tree, &m.CreatedAt, &m.TTL); err != nil {
			return err
		}
		m.RunID, m.NodeID, m.State = uint64(run), uint64(node), replyState(complete)
		msgs = append(msgs, m)
		return nil
	}, `SELECT r.message_id, i.run_id, i.node_id, i.message_id, r.complete, r.proto, r.tree, r.created_at, r.ttl
		FROM replies r JOIN instructions i ON i.seq = r.instruction WHERE `+where+` ORDER BY r.instruction`, args...)
	return msgs, err
}

func replyState(complete bool) state.MessageState {
	if complete {
		return state.Waiting
	}
	return state.Gathering
}
