package stock

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/message"
)

// reconnectSeconds is what Flower tells a node that has pushed; nobody acts on it.
const reconnectSeconds = 5

// pushMessages hands one reply to the office and says which of its objects are to be sent; the reply
// is complete when the last of them has come. A reply that is not taken gets the same answer with
// nothing to be sent, as in Flower.
func (s *server) pushMessages(ctx context.Context, node state.Node, req *flwrpb.RawPushMessagesRequest) (proto.Message, error) {
	replies, trees, runtimes := req.GetMessages(), req.GetTrees(), req.GetClientappRuntimes()
	if len(replies) != 1 || len(trees) != 1 || len(runtimes) > 1 {
		return nil, flwr.NewError(flwr.CodeInvalidMessageCount)
	}
	s.lives(ctx, &node)
	reply := messages.Reply{Message: replies[0], Tree: trees[0]}
	if len(runtimes) == 1 {
		reply.Runtime = runtimes[0]
	}
	if says, err := message.Peek(reply.Message); err == nil {
		if _, err := s.running(ctx, says.RunID, flwr.CodeRunStatusNotAllowed); err != nil {
			return nil, err
		}
	}
	verdict, err := s.cfg.Office.Answer(ctx, node, reply)
	if err != nil {
		return nil, err
	}
	if verdict.Kind != messages.Taken {
		log.Warn("a reply was not taken", "node", node.ID, "run", verdict.RunID, "message", verdict.InstructionID, "reason", verdict.Reason)
	}
	return &flwrpb.PushMessagesResponse{
		Reconnect:     &flwrpb.Reconnect{Reconnect: reconnectSeconds},
		Results:       map[string]uint32{verdict.ReplyID: 0},
		ObjectsToPush: verdict.Missing,
		SessionId:     uuid.NewString(),
	}, nil
}
