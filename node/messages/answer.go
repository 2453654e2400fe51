package messages

import (
	"context"
	"errors"
	"strings"

	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Answer ends a task: reply, context and end become one fact. An app that ends without a
// complete reply is answered for. task.ErrFinished, task.ErrNotFound.
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
// line if the process went down with the node. task.ErrFinished, task.ErrNotFound.
func (o *Office) Lost(ctx context.Context, t task.Task, how string) error {
	return o.cfg.Store.Lost(ctx, t.ID, reason("ClientApp stopped responding.", how))
}

// reason is the text of an error reply.
func reason(what, detail string) string {
	text := strings.TrimSpace(what + " " + detail)
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	return strings.ToValidUTF8(text, "?")
}
