package stock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// reconnectSeconds is what Flower tells a node that has pushed; nobody acts on it.
const reconnectSeconds = 5

// pushMessages takes one reply and says which of its objects are to be sent; it is complete
// when the last of them has come. A reply that is refused gets the same answer with nothing
// to be sent, as Flower does.
func (s *server) pushMessages(ctx context.Context, node state.Node, req *flwrpb.PushMessagesRequest) (proto.Message, error) {
	messages, trees, runtimes := req.GetMessagesList(), req.GetMessageObjectTrees(), req.GetClientappRuntimeList()
	if len(messages) != 1 || len(trees) != 1 || len(runtimes) > 1 {
		return nil, flwr.NewError(flwr.CodeInvalidMessageCount)
	}
	s.lives(ctx, &node)
	md := messages[0].GetMetadata()
	if _, err := s.running(ctx, md.GetRunId(), flwr.CodeRunStatusNotAllowed); err != nil {
		return nil, err
	}
	var runtime time.Duration
	if len(runtimes) == 1 && runtimes[0] > 0 && runtimes[0] < maxClientAppTime {
		runtime = time.Duration(runtimes[0] * float64(time.Second))
	}
	missing, err := s.takeReply(ctx, node, messages[0], trees[0], runtime)
	var no refusal
	if errors.As(err, &no) {
		log.Warn("a reply is refused", "node", node.ID, "run", md.GetRunId(), "message", md.GetReplyToMessageId(), "reason", no.Error())
	} else if err != nil {
		return nil, err
	}
	return &flwrpb.PushMessagesResponse{
		Reconnect:     &flwrpb.Reconnect{Reconnect: reconnectSeconds},
		Results:       map[string]uint32{md.GetMessageId(): 0},
		ObjectsToPush: missing,
		SessionId:     uuid.NewString(),
	}, nil
}

// refusal is why a reply is not taken: sending it again would not change it.
type refusal struct{ error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// takeReply stores a reply and names the objects that it lacks. Errors are refusals, or may pass.
func (s *server) takeReply(ctx context.Context, node state.Node, msg *flwrpb.Message, tree *flwrpb.ObjectTree, runtime time.Duration) (missing []string, err error) {
	md := msg.GetMetadata()
	if md.GetSrcNodeId() != node.ID || md.GetDstNodeId() != flwr.NodeSuperLink {
		return nil, refuse("it goes from node %d to node %d", md.GetSrcNodeId(), md.GetDstNodeId())
	}
	instruction, err := s.cfg.Store.Message(ctx, md.GetReplyToMessageId())
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil, refuse("nobody waits for it any more")
	case err != nil:
		return nil, fmt.Errorf("look up the instruction of reply %s: %w", md.GetMessageId(), err)
	case instruction.NodeID != node.ID || instruction.RunID != md.GetRunId() || instruction.ReplyTo != "":
		return nil, refuse("the instruction was not given to this node")
	}
	in, err := unpackReply(msg, tree, node.ID)
	if err != nil {
		return nil, s.refuseForGood(ctx, instruction, err)
	}
	missing, err = s.cfg.Intake.Reply(ctx, in, runtime)
	switch {
	case errors.Is(err, state.ErrNotFound), errors.Is(err, state.ErrRunFinished):
		return nil, refuse("nobody waits for it any more")
	case errors.Is(err, state.ErrNotAllowed):
		return nil, refuse("another reply came before")
	case errors.Is(err, state.ErrTooMany):
		return nil, s.refuseForGood(ctx, instruction, err)
	case err != nil:
		return nil, err
	}
	return missing, nil
}

// unpackReply holds a reply against the rules that need no database.
func unpackReply(msg *flwrpb.Message, tree *flwrpb.ObjectTree, nodeID uint64) (messages.Incoming, error) {
	md := msg.GetMetadata()
	switch {
	case md.GetMessageType() == "":
		return messages.Incoming{}, errors.New("it has no message type")
	case !(md.GetCreatedAt() >= earliestMessage): // also refuses NaN
		return messages.Incoming{}, fmt.Errorf("it was created at %v, before Flower was", md.GetCreatedAt())
	case math.IsNaN(md.GetTtl()):
		// Below 0 it may well be, at a node whose clock is ahead: only the sum counts.
		return messages.Incoming{}, errors.New("its time to live is no number")
	case (msg.Content != nil) == (msg.GetError() != nil):
		return messages.Incoming{}, errors.New("it must have either content or an error")
	}
	return messages.Unpack(msg, tree, nodeID)
}

// refuseForGood refuses the only reply that this node has to an instruction of its own.
func (s *server) refuseForGood(ctx context.Context, instruction state.Message, why error) error {
	reason := fmt.Sprintf("node %d sent a reply that can not be taken: %v", instruction.NodeID, why)
	if err := s.giveUp(ctx, instruction, reason); err != nil {
		return err
	}
	return refusal{why}
}
