package stock

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// pullMessages leases the node its next message, when there is one. Of the pulls of a node
// only the last is held, since the client of an earlier one has left: it is answered empty.
func (s *server) pullMessages(w http.ResponseWriter, r *http.Request, node state.Node, _ *flwrpb.PullMessagesRequest) error {
	s.lives(r.Context(), &node)
	s.traffic.keepAll(r.Context(), s.cfg.Store) // whoever pulls has pushed all it had
	var res *flwrpb.PullMessagesResponse
	err := flwr.Hold(w, r, func(ctx context.Context) (err error) {
		res, err = s.pull(ctx, node)
		return err
	})
	if err != nil {
		return err
	}
	return flwr.WriteResponse(w, r, res)
}

func (s *server) pull(ctx context.Context, node state.Node) (*flwrpb.PullMessagesResponse, error) {
	ctx, release, err := s.holds.take(ctx, node.ID)
	if err != nil {
		return nil, err
	}
	defer release()
	watch := s.cfg.Store.Bell().Watch(state.KeyNode(node.ID))
	defer watch.Close()
	limit := time.NewTimer(pullHold)
	defer limit.Stop()
	for {
		m, found, err := s.next(ctx, node)
		switch {
		case errors.Is(context.Cause(ctx), errReplaced):
			return &flwrpb.PullMessagesResponse{}, nil
		case err != nil:
			return nil, err
		case found:
			return pulled(m)
		}
		select {
		case <-watch.C:
		case <-limit.C:
			return &flwrpb.PullMessagesResponse{}, nil
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errReplaced) {
				return &flwrpb.PullMessagesResponse{}, nil
			}
			return nil, ctx.Err()
		}
	}
}

// next is the message that the node has not confirmed, or else the next one in line. The
// lease ends with the node's life: as long as it shows some, it is at work on the message.
func (s *server) next(ctx context.Context, node state.Node) (m state.Message, found bool, err error) {
	for {
		leased, err := s.cfg.Store.LeasedInstructions(ctx, node.ID)
		if err != nil {
			return state.Message{}, false, fmt.Errorf("list what is leased to node %d: %w", node.ID, err)
		}
		if len(leased) == 0 {
			leased, err = s.cfg.Store.LeaseInstructions(ctx, node.ID, 1, time.Now().Add(patience*node.HeartbeatInterval))
			if err != nil {
				return state.Message{}, false, fmt.Errorf("lease a message to node %d: %w", node.ID, err)
			}
		}
		if len(leased) == 0 {
			return state.Message{}, false, nil
		}
		m := leased[0]
		if s.deliveries.count(node.ID, m.ID) <= maxDeliveries {
			return m, true, nil
		}
		reason := fmt.Sprintf("node %d was given it %d times and did not confirm it", node.ID, maxDeliveries)
		if err := s.giveUp(ctx, m, reason); err != nil {
			return state.Message{}, false, err
		}
	}
}

// giveUp drops an instruction that will not be answered, so that its ServerApp is told now
// and not at the end of its time to live.
func (s *server) giveUp(ctx context.Context, instruction state.Message, reason string) error {
	log.Warn("a message is given up", "run", instruction.RunID, "message", instruction.ID, "reason", reason)
	if err := s.cfg.Store.DropMessages(ctx, []string{instruction.ID}, reason); err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("drop message %s: %w", instruction.ID, err)
	}
	return nil
}

func pulled(m state.Message) (*flwrpb.PullMessagesResponse, error) {
	msg, tree := &flwrpb.Message{}, &flwrpb.ObjectTree{}
	if err := proto.Unmarshal(m.Proto, msg); err != nil {
		return nil, fmt.Errorf("decode message %s: %w", m.ID, err)
	}
	if err := proto.Unmarshal(m.Tree, tree); err != nil {
		return nil, fmt.Errorf("decode the object tree of message %s: %w", m.ID, err)
	}
	return &flwrpb.PullMessagesResponse{
		MessagesList: []*flwrpb.Message{msg}, MessageObjectTrees: []*flwrpb.ObjectTree{tree},
	}, nil
}

// confirm ends the lease: the node has the message and all its objects. What is unknown
// was confirmed before, or nobody waits for it any more.
func (s *server) confirm(ctx context.Context, node state.Node, req *flwrpb.ConfirmMessageReceivedRequest) (proto.Message, error) {
	s.lives(ctx, &node)
	run, err := s.running(ctx, req.GetRunId(), flwr.CodeRunStatusNotAllowed)
	if err != nil {
		return nil, err
	}
	id := req.GetMessageObjectId()
	m, err := s.cfg.Store.Message(ctx, id)
	switch {
	case errors.Is(err, state.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("look up message %s: %w", id, err)
	case m.NodeID == node.ID && m.RunID == run.ID && m.ReplyTo == "":
		if err := s.cfg.Store.MarkDelivered(ctx, []string{id}); err != nil {
			return nil, fmt.Errorf("note that message %s is delivered: %w", id, err)
		}
		s.deliveries.forget(node.ID)
	}
	s.traffic.keep(ctx, s.cfg.Store, run.ID)
	return &flwrpb.ConfirmMessageReceivedResponse{}, nil
}
