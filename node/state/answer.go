package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// ErrNoReply says that a message cannot be answered: its app has pushed no complete reply.
var ErrNoReply = errors.New("there is no complete reply")

// Reply answers an instruction.
type Reply struct {
	// MessageID is that of the instruction.
	MessageID string
	ReplyID   string
	// Message and Tree are flwr.proto.Message and ObjectTree.
	Message, Tree []byte
	// ObjectIDs lists all objects of the tree. It is empty when a reply is read.
	ObjectIDs []string
	// Runtime is how long the ClientApp worked.
	Runtime time.Duration
}

// InsertReply keeps a reply that Answer will make final, and names those of its objects that
// are missing. Inserting the same reply again returns what is missing by then. It returns
// ErrAnswered for a different one, and ErrNotFound if the message was dropped.
func (s *Store) InsertReply(ctx context.Context, t task.Task, r Reply) (missing []string, err error) {
	s.seen(t.ID)
	s.refs.RLock()
	defer s.refs.RUnlock()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := mustBeLeased(tx, t.MessageID); err != nil {
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

// Answer ends a task whose app has pushed a complete reply: in one step the reply becomes
// final and seriesContext, unless nil, becomes the context of the run's series. It may return
// ErrNoReply, task.ErrFinished or task.ErrNotFound. It rings KeyReplies and KeyWaiting.
func (s *Store) Answer(ctx context.Context, t task.Task, sub task.SubStatus, details string, seriesContext []byte) error {
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
		return markAnswered(tx, t.MessageID)
	})
	if err != nil {
		return fmt.Errorf("finish task %d: %w", t.ID, err)
	}
	s.bell.Ring(KeyReplies(), KeyWaiting())
	return nil
}

// AnswerWithError ends a task and answers its message with an error. It may return
// task.ErrFinished or task.ErrNotFound. It rings KeyTask, KeyReplies and KeyWaiting.
func (s *Store) AnswerWithError(ctx context.Context, taskID uint64, reason string) error {
	return s.fail(ctx, taskID, reason, unfinished)
}

// fail is AnswerWithError, provided that the task passes the check inside the transaction.
func (s *Store) fail(ctx context.Context, taskID uint64, reason string, check func(task.Task) error) error {
	t, err := s.Task(ctx, taskID)
	if err != nil {
		return err
	}
	err = s.answerError(ctx, t.MessageID, flwr.ErrorClientAppCrashed, reason, func(tx *sql.Tx, _ Instruction) error {
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
	s.bell.Ring(KeyTask(taskID), KeyReplies(), KeyWaiting())
	return nil
}

// insertReply stores a reply. If an app has pushed it (final is 0), its objects are held where
// the run already has them, and the others once they are pushed.
func insertReply(tx *sql.Tx, r Reply, final int) error {
	if _, err := tx.Exec(`INSERT INTO replies (message_id, reply_id, proto, tree, seconds, final) VALUES (?, ?, ?, ?, ?, ?)`,
		r.MessageID, r.ReplyID, r.Message, r.Tree, r.Runtime.Seconds(), final); err != nil {
		return err
	}
	if final == 1 {
		return refer(tx, r.MessageID, r.ObjectIDs, 1)
	}
	_, err := tx.Exec(`INSERT OR IGNORE INTO message_objects (message_id, object_id, reply, held)
		SELECT ?1, value, 1, EXISTS (SELECT 1 FROM message_objects o JOIN messages m USING (message_id)
			WHERE o.object_id = value AND o.held = 1 AND m.run_id = (SELECT run_id FROM messages WHERE message_id = ?1))
		FROM json_each(?2)`, r.MessageID, jsonList(r.ObjectIDs))
	return err
}

// markAnswered puts a message at the end of the line to the SuperLink.
func markAnswered(tx *sql.Tx, messageID string) error {
	turn, err := tick(tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE messages SET state = 'answered', answer_seq = ? WHERE message_id = ?`, turn, messageID)
	return err
}

// dropReply removes the reply of a message, if any, and its hold on objects.
func dropReply(tx *sql.Tx, messageID string) error {
	for _, statement := range []string{
		`INSERT OR IGNORE INTO garbage SELECT object_id FROM message_objects WHERE message_id = ? AND reply = 1`,
		`DELETE FROM message_objects WHERE message_id = ? AND reply = 1`,
		`DELETE FROM replies WHERE message_id = ?`,
	} {
		if _, err := tx.Exec(statement, messageID); err != nil {
			return err
		}
	}
	return nil
}
