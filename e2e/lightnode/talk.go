package lightnode

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// talk is one session. Each offer is worked on in a goroutine of its own, beside the reader; the
// link bounds how many there are.
type talk struct {
	node *Node
	conn *session.Conn
	work sync.WaitGroup
}

func (s *talk) greet() error {
	hello := &sessionpb.Hello{Version: 1, Software: "rhizome lightnode", Name: s.node.cfg.Name, Slots: 1}
	if err := s.conn.WriteFrame(&sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: hello}}); err != nil {
		return fmt.Errorf("send hello: %w", err)
	}
	frame, err := s.conn.ReadFrame()
	if err != nil {
		return fmt.Errorf("wait for welcome: %w", err)
	}
	if frame.GetWelcome() == nil {
		return fmt.Errorf("the link does not welcome this node: %v", frame)
	}
	return nil
}

func (s *talk) handle(ctx context.Context, frame *sessionpb.Frame) error {
	switch body := frame.GetBody().(type) {
	case *sessionpb.Frame_Offer:
		s.work.Go(func() { s.take(ctx, body.Offer) })
	case *sessionpb.Frame_ReplyAck:
		s.node.end(body.ReplyAck.GetInstructionId(), !body.ReplyAck.GetDropped())
	case *sessionpb.Frame_Cancel:
		s.node.drop(body.Cancel.GetRunId())
	case *sessionpb.Frame_Ping:
		return s.conn.WriteFrame(&sessionpb.Frame{Body: &sessionpb.Frame_Pong{Pong: &sessionpb.Pong{Nonce: body.Ping.GetNonce()}}})
	case *sessionpb.Frame_Refused:
		return fmt.Errorf("refused: %s", body.Refused.GetDetail())
	}
	return nil
}

// take works on one offer; it reports a failure to the link, which then offers it again.
func (s *talk) take(ctx context.Context, offer *sessionpb.Offer) {
	var msg flwrpb.Message
	var tree flwrpb.ObjectTree
	if err := errors.Join(proto.Unmarshal(offer.GetMessage(), &msg), proto.Unmarshal(offer.GetTree(), &tree)); err != nil {
		return // the link is broken: without a message id there is nothing to report
	}
	id := msg.GetMetadata().GetMessageId()
	if !s.node.begin(id) {
		return
	}
	if err := s.answer(ctx, &msg, &tree, offer); err != nil {
		s.node.end(id, false)
		decline := &sessionpb.Decline{MessageId: id, Detail: err.Error()}
		_ = s.conn.WriteFrame(&sessionpb.Frame{Body: &sessionpb.Frame_Decline{Decline: decline}})
	}
}

// answer fetches the objects, accepts, and replies with the same content.
func (s *talk) answer(ctx context.Context, msg *flwrpb.Message, tree *flwrpb.ObjectTree, offer *sessionpb.Offer) error {
	var run flwrpb.Run
	if err := proto.Unmarshal(offer.GetRun(), &run); err != nil {
		return err
	}
	ids, err := object.PostOrder(tree, object.DefaultTreeLimits)
	if err != nil {
		return err
	}
	ids = append(ids, run.GetFabHash())
	s.node.belong(run.GetRunId(), ids...)
	if err := s.node.fetcher.Fetch(ctx, run.GetRunId(), ids, objects.Provider{Peer: s.node.target.Peer}); err != nil {
		return err
	}
	id := msg.GetMetadata().GetMessageId()
	if err := s.conn.WriteFrame(&sessionpb.Frame{Body: &sessionpb.Frame_Accept{Accept: &sessionpb.Accept{MessageId: id}}}); err != nil {
		return err
	}
	if s.node.cfg.Delay > 0 {
		select {
		case <-time.After(s.node.cfg.Delay):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	reply, err := s.reply(msg, tree)
	if err != nil {
		return err
	}
	return s.conn.WriteFrame(&sessionpb.Frame{Body: &sessionpb.Frame_Reply{Reply: reply}})
}

// reply makes a new message with the content of the instruction.
func (s *talk) reply(msg *flwrpb.Message, tree *flwrpb.ObjectTree) (*sessionpb.Reply, error) {
	answer := &flwrpb.Message{Metadata: object.ReplyTo(msg.GetMetadata(), time.Now()), Content: []byte{}}
	children := make([]string, 0, len(tree.GetChildren()))
	for _, child := range tree.GetChildren() {
		children = append(children, child.GetObjectId())
	}
	content, id, err := object.BuildMessage(answer, children...)
	if err != nil {
		return nil, err
	}
	if err := s.node.keep(answer.GetMetadata().GetRunId(), content); err != nil {
		return nil, err
	}
	answer.Metadata.MessageId = id
	message, err := proto.Marshal(answer)
	if err != nil {
		return nil, err
	}
	own, err := proto.Marshal(&flwrpb.ObjectTree{ObjectId: id, Children: tree.GetChildren()})
	if err != nil {
		return nil, err
	}
	return &sessionpb.Reply{Message: message, Tree: own}, nil
}
