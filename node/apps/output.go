package apps

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// PushMessages takes the one reply of the task. It counts only when its objects are there
// and the task has ended with PushTaskOutput.
func (h *Host) PushMessages(ctx context.Context, t task.Task, req *flwrpb.RawPushAppMessagesRequest) (*flwrpb.PushAppMessagesResponse, error) {
	if len(req.GetMessages()) != 1 || len(req.GetTrees()) != 1 {
		return nil, flwr.NewError(flwr.CodeInvalidMessageCount)
	}
	raw, tree := req.GetMessages()[0], req.GetTrees()[0]
	if says, err := message.Peek(raw); err == nil && says.RunID != t.RunID {
		return nil, flwr.NewError(flwr.CodeMessageRunIDMismatch)
	}
	instruction, err := h.cfg.Store.Instruction(ctx, t.MessageID)
	if errors.Is(err, state.ErrNotFound) {
		return refused(), nil
	}
	if err != nil {
		return nil, err
	}
	reply, err := newReply(t, instruction, raw, tree)
	if err != nil {
		return nil, flwr.Plain(http.StatusBadRequest, err.Error())
	}
	missing, err := h.cfg.Store.InsertReply(ctx, t, reply)
	if errors.Is(err, state.ErrAnswered) || errors.Is(err, state.ErrNotFound) {
		return refused(), nil
	}
	if err != nil {
		return nil, err
	}
	return &flwrpb.PushAppMessagesResponse{
		MessageIds:    []string{reply.ReplyID},
		ObjectsToPush: missing,
		// What may be pushed is decided by the reply, so one session per task is enough.
		SessionId: fmt.Sprintf("%016x", t.ID),
	}, nil
}

// refused is what a SuperLink says of a message that it does not take.
func refused() *flwrpb.PushAppMessagesResponse {
	return &flwrpb.PushAppMessagesResponse{MessageIds: []string{""}}
}

// newReply checks what an app wants to answer.
func newReply(t task.Task, instruction state.Instruction, raw, tree []byte) (state.Reply, error) {
	if n := len(raw) + len(tree); n > maxReply {
		return state.Reply{}, fmt.Errorf("message and object tree have %d bytes, %d are allowed", n, maxReply)
	}
	asked, err := message.Peek(instruction.Message)
	if err != nil {
		return state.Reply{}, fmt.Errorf("instruction %s: %w", t.MessageID, err)
	}
	reply, err := message.ParseReply(raw, tree, message.Answered{Instruction: asked, Node: asked.Destination})
	if err != nil {
		return state.Reply{}, err
	}
	return state.Reply{
		MessageID: t.MessageID,
		ReplyID:   reply.ID(),
		Message:   reply.Raw(),
		Tree:      reply.Tree(),
		ObjectIDs: reply.Objects(),
		Runtime:   worked(t),
	}, nil
}

// worked is how long the app has had its input.
func worked(t task.Task) time.Duration {
	if t.RunningAt.IsZero() {
		return 0
	}
	return max(time.Since(t.RunningAt), 0)
}

// PushTaskOutput ends the task: reply, context and end become one fact. An app that ends
// without a complete reply is answered for.
func (h *Host) PushTaskOutput(ctx context.Context, t task.Task, req *flwrpb.PushTaskOutputRequest) error {
	sub := task.SubStatus(req.GetSubStatus())
	if sub != task.Completed {
		sub = task.Failed
	}
	err := h.cfg.Office.Answer(ctx, t, sub, req.GetDetails(), req.Context)
	if errors.Is(err, task.ErrFinished) || errors.Is(err, task.ErrNotFound) {
		return nil // cancelled or given up meanwhile: as stock, the app need not care
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
