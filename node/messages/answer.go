package messages

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// ErrBadReply says that a reply breaks a rule, and will do so however often it is pushed.
var ErrBadReply = errors.New("malformed reply")

// TakeReply keeps the reply that the app of a task has pushed, until Answer makes it final,
// and names those of its objects that have to be sent. Repeating it returns what is missing by
// then. It returns ErrBadReply; state.ErrAnswered if there is a different reply already; and
// state.ErrNotFound if the message was dropped.
func (o *Office) TakeReply(ctx context.Context, t task.Task, raw, tree []byte) (replyID string, missing []string, err error) {
	instruction, err := o.cfg.Store.Instruction(ctx, t.MessageID)
	if err != nil {
		return "", nil, err
	}
	reply, err := parseReply(instruction, raw, tree)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrBadReply, err)
	}
	missing, err = o.cfg.Store.InsertReply(ctx, t, state.Reply{
		MessageID: t.MessageID,
		ReplyID:   reply.ID(),
		Message:   reply.Raw(),
		Tree:      reply.Tree(),
		ObjectIDs: reply.Objects(),
		Runtime:   worked(t),
	})
	return reply.ID(), missing, err
}

// parseReply checks a reply against the rules and against the instruction that it answers.
func parseReply(instruction state.Instruction, raw, tree []byte) (*message.Message, error) {
	if n := len(raw) + len(tree); n > maxReply {
		return nil, fmt.Errorf("message and object tree have %d bytes; at most %d are allowed", n, maxReply)
	}
	asked, err := message.Peek(instruction.Message)
	if err != nil {
		return nil, fmt.Errorf("instruction %s: %w", instruction.MessageID, err)
	}
	return message.ParseReply(raw, tree, message.Answered{Instruction: asked, Node: asked.Destination})
}

// worked returns how long the app has had its input.
func worked(t task.Task) time.Duration {
	if t.RunningAt.IsZero() {
		return 0
	}
	return max(time.Since(t.RunningAt), 0)
}

// Answer ends a task: reply, context and end take effect together. An app that ends without a
// complete reply is answered for. It may return task.ErrFinished or task.ErrNotFound.
func (o *Office) Answer(ctx context.Context, t task.Task, sub task.SubStatus, details string, seriesContext []byte) error {
	err := o.cfg.Store.Answer(ctx, t, sub, details, seriesContext)
	if errors.Is(err, state.ErrNoReply) {
		log.Warn("app has ended without a reply", "run", t.RunID, "message", t.MessageID, "status", sub, "detail", details)
		err = o.cfg.Store.AnswerWithError(ctx, t.ID, reason("ClientApp ended without a reply.", details))
	}
	if err != nil {
		return err
	}
	log.Info("task is finished", "run", t.RunID, "message", t.MessageID, "task", t.ID, "status", sub)
	return nil
}

// Lost answers for a process that ended without ending its task, or puts the message back in
// line if the process went down with the node. It may return task.ErrFinished or task.ErrNotFound.
func (o *Office) Lost(ctx context.Context, t task.Task, how string) error {
	return o.cfg.Store.Lost(ctx, t.ID, reason("ClientApp stopped responding.", how))
}

// reason composes the text of an error reply.
func reason(what, detail string) string {
	text := strings.TrimSpace(what + " " + detail)
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	return strings.ToValidUTF8(text, "?")
}
