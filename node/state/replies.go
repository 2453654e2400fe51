package state

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// Reply answers an instruction.
type Reply struct {
	// MessageID is the instruction's.
	MessageID string
	ReplyID   string
	// Message and Tree are flwr.proto.Message and ObjectTree.
	Message, Tree []byte
	// ObjectIDs are all objects of the tree. Empty when a reply is read.
	ObjectIDs []string
	// Runtime is how long the ClientApp worked.
	Runtime time.Duration
}

// UnsentReplies gives answers that the SuperLink has not acknowledged, oldest first, at
// most limit of them, after the given position; last is the position to go on from.
func (s *Store) UnsentReplies(ctx context.Context, after int64, limit int) (replies []Reply, last int64, err error) {
	last = after
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT m.answer_seq, r.message_id, r.reply_id, r.proto, r.tree, r.seconds
			FROM messages m JOIN replies r USING (message_id)
			WHERE m.state = 'answered' AND m.answer_seq > ? ORDER BY m.answer_seq LIMIT ?`, after, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r Reply
			var seconds float64
			if err := rows.Scan(&last, &r.MessageID, &r.ReplyID, &r.Message, &r.Tree, &seconds); err != nil {
				return err
			}
			r.Runtime = time.Duration(seconds * float64(time.Second))
			replies = append(replies, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, after, fmt.Errorf("read unsent replies: %w", err)
	}
	return replies, last, nil
}

// Ack forgets an answer that the SuperLink has stored or does not want. An answer with
// another reply id stays, unless replyID is empty. Acknowledging twice is no error.
func (s *Store) Ack(ctx context.Context, messageID, replyID string) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		var runID int64
		err := tx.QueryRow(`SELECT m.run_id FROM messages m JOIN replies r USING (message_id)
			WHERE m.message_id = ? AND m.state = 'answered' AND ? IN ('', r.reply_id)`, messageID, replyID).Scan(&runID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := dropReply(tx, messageID); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM tasks WHERE message_id = ?`, messageID); err != nil {
			return err
		}
		if err := setState(tx, messageID, Done); err != nil {
			return err
		}
		return deleteMessages(tx, `run_id = ? AND state = 'done' AND seq NOT IN
			(SELECT seq FROM messages WHERE run_id = ? AND state = 'done' ORDER BY seq DESC LIMIT ?)`, runID, runID, keptMessages)
	})
	if err != nil {
		return fmt.Errorf("acknowledge the reply to message %s: %w", messageID, err)
	}
	s.bell.Ring(KeyGarbage())
	return nil
}

// answerWithError makes an error reply the answer of a message. check is called in each
// transaction and may refuse; also (or nil) belongs to the last one. The reply's object is
// referred to before it is written, so that a kill in between leaks nothing.
func (s *Store) answerWithError(ctx context.Context, messageID string, code int64, reason string,
	check func(*sql.Tx, Instruction) error, also func(*sql.Tx) error) error {
	m, err := s.Instruction(ctx, messageID)
	if err != nil {
		return err
	}
	r, content, err := errorReply(m, code, strings.ToValidUTF8(reason, "?"), time.Now())
	if err != nil {
		return fmt.Errorf("build error reply to message %s: %w", messageID, err)
	}
	step := func(then func(tx *sql.Tx) error) error {
		return s.db.Write(ctx, func(tx *sql.Tx) error {
			m, err := instruction(tx, messageID)
			if err != nil {
				return err
			}
			if err := check(tx, m); err != nil {
				return err
			}
			return then(tx)
		})
	}
	err = step(func(tx *sql.Tx) error { return refer(tx, messageID, r.ObjectIDs, 1) })
	if err != nil {
		return fmt.Errorf("prepare error reply to message %s: %w", messageID, err)
	}
	if err := s.objects.Put(ctx, r.ReplyID, int64(len(content)), bytes.NewReader(content)); err != nil {
		return fmt.Errorf("write error reply to message %s: %w", messageID, err)
	}
	err = step(func(tx *sql.Tx) error {
		if err := dropReply(tx, messageID); err != nil {
			return err
		}
		if err := insertReply(tx, r, 1); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return answered(tx, messageID)
	})
	if err != nil {
		return fmt.Errorf("answer message %s with an error: %w", messageID, err)
	}
	return nil
}

// errorReply builds the reply that says that an instruction failed on this node.
func errorReply(m Instruction, code int64, reason string, now time.Time) (Reply, []byte, error) {
	var instr flwrpb.Message
	if err := proto.Unmarshal(m.Message, &instr); err != nil {
		return Reply{}, nil, err
	}
	msg, content, id, err := object.ErrorReply(object.ReplyTo(instr.GetMetadata(), now), code, reason)
	if err != nil {
		return Reply{}, nil, err
	}
	r := Reply{MessageID: m.MessageID, ReplyID: id, ObjectIDs: []string{id}}
	if r.Message, err = proto.Marshal(msg); err != nil {
		return Reply{}, nil, err
	}
	if r.Tree, err = proto.Marshal(&flwrpb.ObjectTree{ObjectId: id}); err != nil {
		return Reply{}, nil, err
	}
	return r, content, nil
}

// insertReply stores a reply. The objects of one that an app pushes (final is 0) are held as
// far as its run has them already, or else once they are pushed.
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

// answered moves a message to its last state but one and puts it at the end of the line to the SuperLink.
func answered(tx *sql.Tx, messageID string) error {
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
