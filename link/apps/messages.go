package apps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// PushMessages stores instructions. A message that is refused gets an empty id in the
// answer, as Flower does; the others are not touched by it.
func (h *Host) PushMessages(ctx context.Context, t task.Task, req *flwrpb.PushAppMessagesRequest) (*flwrpb.PushAppMessagesResponse, error) {
	pushed, trees := req.GetMessagesList(), req.GetMessageObjectTrees()
	if len(pushed) == 0 || len(pushed) != len(trees) || len(pushed) > maxMessages {
		return nil, flwr.NewError(flwr.CodeInvalidMessageCount)
	}
	res := &flwrpb.PushAppMessagesResponse{MessageIds: make([]string, len(pushed)), SessionId: uuid.NewString()}
	incoming := make([]messages.Incoming, 0, len(pushed))
	places := make([]int, 0, len(pushed)) // of incoming in pushed
	now := time.Now()
	for i, msg := range pushed {
		if err := checkInstruction(msg, t.RunID, now); err != nil {
			log.Warn("an instruction is refused", "run", t.RunID, "reason", err)
			continue
		}
		inc, err := messages.Unpack(msg, trees[i], msg.GetMetadata().GetDstNodeId())
		if err != nil {
			log.Warn("an instruction is refused", "run", t.RunID, "reason", err)
			continue
		}
		incoming, places = append(incoming, inc), append(places, i)
	}
	if len(incoming) == 0 {
		return res, nil
	}
	rejected, missing, err := h.intake.Instructions(ctx, t.RunID, incoming)
	if err != nil {
		return nil, unlessGone(err)
	}
	for i, inc := range incoming {
		if rejected[i] != nil {
			log.Warn("an instruction is refused", "run", t.RunID, "message", inc.Message.ID, "node", inc.Message.NodeID, "reason", rejected[i])
			continue
		}
		res.MessageIds[places[i]] = inc.Message.ID
	}
	res.ObjectsToPush = missing
	return res, nil
}

// checkInstruction holds a message against the rules that need no database.
func checkInstruction(msg *flwrpb.Message, runID uint64, now time.Time) error {
	md := msg.GetMetadata()
	switch {
	case md == nil:
		return errors.New("it has no metadata")
	case md.GetRunId() != runID:
		return fmt.Errorf("it is of run %d", md.GetRunId())
	case md.GetSrcNodeId() != flwr.NodeSuperLink:
		return fmt.Errorf("its source is node %d, not the SuperLink", md.GetSrcNodeId())
	case md.GetReplyToMessageId() != "":
		return errors.New("it is a reply")
	case md.GetMessageType() == "":
		return errors.New("it has no message type")
	case !(md.GetCreatedAt() >= earliestMessage): // also refuses NaN
		return fmt.Errorf("it was created at %v, before Flower was", md.GetCreatedAt())
	case !(md.GetTtl() > 0) || !(md.GetCreatedAt()+md.GetTtl() > float64(now.Unix())):
		return fmt.Errorf("it has expired (time to live %v s)", md.GetTtl())
	case (msg.Content != nil) == (msg.GetError() != nil):
		return errors.New("it must have either content or an error")
	}
	return nil
}

// ConfirmMessageReceived ends the lease of a reply. Repeating it is no error.
func (h *Host) ConfirmMessageReceived(ctx context.Context, t task.Task, req *flwrpb.ConfirmMessageReceivedRequest) error {
	id := req.GetMessageObjectId()
	if instruction, generated := h.errors.instructionOf(id); generated {
		// The app has been told that no reply will come; a late one would find nobody.
		if err := h.store.DropMessages(ctx, []string{instruction}, "the ServerApp was told that no reply will come"); err != nil && !errors.Is(err, state.ErrNotFound) {
			return fmt.Errorf("drop instruction %s: %w", instruction, err)
		}
		h.errors.drop(id)
		return nil
	}
	err := h.store.ConfirmReply(ctx, t.RunID, id)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	return unlessGone(err)
}

// PushObject stores an object of an instruction.
func (h *Host) PushObject(ctx context.Context, t task.Task, push runtimeapi.ObjectPush, body io.Reader) (bool, error) {
	if push.NodeID != flwr.NodeSuperLink {
		return false, flwr.NewError(flwr.CodeUnexpectedNodeID)
	}
	return h.intake.StoreObject(ctx, t.RunID, push.ObjectID, push.Size, body)
}

// PullObject opens an object of the task's run.
func (h *Host) PullObject(ctx context.Context, t task.Task, req *flwrpb.PullObjectRequest) (runtimeapi.Object, error) {
	if req.GetNode().GetNodeId() != flwr.NodeSuperLink {
		return runtimeapi.Object{}, flwr.NewError(flwr.CodeUnexpectedNodeID)
	}
	known, file, err := h.intake.Open(ctx, t.RunID, req.GetObjectId(), objectHold)
	if err != nil || file == nil {
		return runtimeapi.Object{Found: known}, err
	}
	return runtimeapi.Object{Found: true, Content: file, Size: file.Size()}, nil
}
