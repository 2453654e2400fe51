package state

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// answerError makes an error reply the answer to a message. check is called in each
// transaction and may refuse; also (or nil) belongs to the last one. The reply's object is
// referred to before it is written, so a kill in between leaks nothing.
func (s *Store) answerError(ctx context.Context, messageID string, code int64, reason string,
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
		return markAnswered(tx, messageID)
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
	meta := instr.GetMetadata()
	// A node without a clock answers too. A reply created before Flower existed is refused, and
	// no reply is older than its instruction.
	if asked := time.UnixMicro(int64(meta.GetCreatedAt() * 1e6)); now.Before(asked) {
		now = asked
	}
	msg, content, id, err := object.ErrorReply(object.ReplyTo(meta, now), code, reason)
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
