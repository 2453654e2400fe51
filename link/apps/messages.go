package apps

import (
	"context"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// PushMessages takes instructions in. A refused message gets an empty id in the answer, as in
// Flower; the others are not affected.
func (h *Host) PushMessages(ctx context.Context, t task.Task, req *flwrpb.RawPushAppMessagesRequest) (*flwrpb.PushAppMessagesResponse, error) {
	pushed, trees := req.GetMessages(), req.GetTrees()
	if len(pushed) == 0 || len(pushed) != len(trees) || len(pushed) > maxMessages {
		return nil, flwr.NewError(flwr.CodeInvalidMessageCount)
	}
	res := &flwrpb.PushAppMessagesResponse{MessageIds: make([]string, len(pushed)), SessionId: uuid.NewString()}
	taken := make([]*message.Message, 0, len(pushed))
	places := make([]int, 0, len(pushed)) // of taken in pushed
	known := message.Addressed{RunID: t.RunID, Now: time.Now()}
	for i, raw := range pushed {
		m, err := message.ParseInstruction(raw, trees[i], known)
		if err != nil {
			log.Warn("an instruction was refused", "run", t.RunID, "err", err)
			continue
		}
		taken, places = append(taken, m), append(places, i)
	}
	if len(taken) == 0 {
		return res, nil
	}
	rejected, missing, err := h.office.TakeIn(ctx, t.RunID, taken)
	if err != nil {
		return nil, unlessGone(err)
	}
	for i, m := range taken {
		if rejected[i] != nil {
			log.Warn("an instruction was refused", "run", t.RunID, "message", m.ID(), "node", m.Node(), "err", rejected[i])
			continue
		}
		res.MessageIds[places[i]] = m.ID()
	}
	res.ObjectsToPush = missing
	return res, nil
}

// ConfirmMessageReceived ends the lease of a reply. Repeating it is not an error.
func (h *Host) ConfirmMessageReceived(ctx context.Context, t task.Task, req *flwrpb.ConfirmMessageReceivedRequest) error {
	id := req.GetMessageObjectId()
	if instruction, generated := h.errors.instructionOf(id); generated {
		// A late reply would find nobody waiting for it.
		if err := h.office.GiveUp(ctx, instruction, "the ServerApp was told that no reply will come"); err != nil {
			return err
		}
		h.errors.drop(id)
		return nil
	}
	return unlessGone(h.office.Confirm(ctx, t.RunID, id))
}

// PushObject stores an object of an instruction.
func (h *Host) PushObject(ctx context.Context, t task.Task, push runtimeapi.ObjectPush, body io.Reader) (bool, error) {
	if push.NodeID != flwr.NodeSuperLink {
		return false, flwr.NewError(flwr.CodeUnexpectedNodeID)
	}
	return h.office.StoreObject(ctx, t.RunID, push.ObjectID, push.Size, body)
}

// PullObject opens an object of the task's run.
func (h *Host) PullObject(ctx context.Context, t task.Task, req *flwrpb.PullObjectRequest) (runtimeapi.Object, error) {
	if req.GetNode().GetNodeId() != flwr.NodeSuperLink {
		return runtimeapi.Object{}, flwr.NewError(flwr.CodeUnexpectedNodeID)
	}
	known, file, err := h.office.Open(ctx, t.RunID, req.GetObjectId(), objectHold)
	if err != nil || file == nil {
		return runtimeapi.Object{Found: known}, err
	}
	return runtimeapi.Object{Found: true, Content: file, Size: file.Size()}, nil
}
