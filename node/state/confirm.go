package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// UnconfirmedReplies returns the replies that the SuperLink has not confirmed, oldest first, at
// most limit of them, after the given position; last is the position from which to go on.
func (s *Store) UnconfirmedReplies(ctx context.Context, after int64, limit int) (replies []Reply, last int64, err error) {
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
		return nil, after, fmt.Errorf("read unconfirmed replies: %w", err)
	}
	return replies, last, nil
}

// Confirm forgets a reply that the SuperLink has stored or does not want. A reply with
// another id stays, unless replyID is empty. Confirming twice is not an error.
func (s *Store) Confirm(ctx context.Context, messageID, replyID string) error {
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
		if err := setState(tx, messageID, Confirmed); err != nil {
			return err
		}
		return deleteMessages(tx, `run_id = ? AND state = 'confirmed' AND seq NOT IN
			(SELECT seq FROM messages WHERE run_id = ? AND state = 'confirmed' ORDER BY seq DESC LIMIT ?)`, runID, runID, keptMessages)
	})
	if err != nil {
		return fmt.Errorf("confirm the reply to message %s: %w", messageID, err)
	}
	s.bell.Ring(KeyGarbage())
	return nil
}
