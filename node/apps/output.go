package apps

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// PushMessages takes the one reply of the task. It counts only once its objects are there
// and the task has ended with PushTaskOutput.
func (h *Host) PushMessages(ctx context.Context, t task.Task, req *flwrpb.RawPushAppMessagesRequest) (*flwrpb.PushAppMessagesResponse, error) {
	if len(req.GetMessages()) != 1 || len(req.GetTrees()) != 1 {
		return nil, flwr.NewError(flwr.CodeInvalidMessageCount)
	}
	raw, tree := req.GetMessages()[0], req.GetTrees()[0]
	if says, err := message.Peek(raw); err == nil && says.RunID != t.RunID {
		return nil, flwr.NewError(flwr.CodeMessageRunIDMismatch)
	}
	replyID, missing, err := h.cfg.Office.TakeReply(ctx, t, raw, tree)
	switch {
	case errors.Is(err, messages.ErrBadReply):
		return nil, flwr.Plain(http.StatusBadRequest, err.Error())
	case errors.Is(err, state.ErrAnswered), errors.Is(err, state.ErrNotFound):
		// This is what a SuperLink says about a message that it does not accept.
		return &flwrpb.PushAppMessagesResponse{MessageIds: []string{""}}, nil
	case err != nil:
		return nil, err
	}
	return &flwrpb.PushAppMessagesResponse{
		MessageIds:    []string{replyID},
		ObjectsToPush: missing,
		// The reply decides what may be pushed, so one session per task is enough.
		SessionId: fmt.Sprintf("%016x", t.ID),
	}, nil
}

// PushTaskOutput ends the task: reply, context and end take effect together. An app that ends
// without a complete reply is answered for.
func (h *Host) PushTaskOutput(ctx context.Context, t task.Task, req *flwrpb.PushTaskOutputRequest) error {
	sub := task.SubStatus(req.GetSubStatus())
	if sub != task.Completed {
		sub = task.Failed
	}
	err := h.cfg.Office.Answer(ctx, t, sub, req.GetDetails(), req.Context)
	if errors.Is(err, task.ErrFinished) || errors.Is(err, task.ErrNotFound) {
		return nil // cancelled or given up meanwhile: as with a stock node, the app need not care
	}
	return err
}

// ReportExit answers for a process that ended without ending its task.
func (h *Host) ReportExit(ctx context.Context, t task.Task, exit task.Exit) error {
	log.Warn("app process has ended without finishing its task", "run", t.RunID, "message", t.MessageID,
		"code", exit.Code, "signal", exit.Signal, "detail", exit.Detail)
	how := "Its process " + exit.How() + "."
	if h.cfg.ShareLogs != nil {
		how += " " + exit.Detail // app output, which leaves the site only if it may
	}
	err := h.cfg.Office.Lost(ctx, t, how)
	if errors.Is(err, task.ErrFinished) || errors.Is(err, task.ErrNotFound) {
		return nil
	}
	return err
}
