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

// pullMessages leases the node its next message, if there is one. Of a node's pulls only the last
// is held, since the client of an earlier one has left: that one is answered empty.
func (s *server) pullMessages(w http.ResponseWriter, r *http.Request, node state.Node, _ *flwrpb.PullMessagesRequest) error {
	s.lives(r.Context(), &node)
	s.traffic.KeepAll(r.Context()) // a node that pulls has pushed all it had
	var res *flwrpb.RawPullMessagesResponse
	err := flwr.Hold(w, r, func(ctx context.Context) (err error) {
		res, err = s.pull(ctx, node)
		return err
	})
	if err != nil {
		return err
	}
	return flwr.WriteResponse(w, r, res)
}

func (s *server) pull(ctx context.Context, node state.Node) (*flwrpb.RawPullMessagesResponse, error) {
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
			return &flwrpb.RawPullMessagesResponse{}, nil
		case err != nil:
			return nil, err
		case found:
			return pulled(m), nil
		}
		select {
		case <-watch.C:
		case <-limit.C:
			return &flwrpb.RawPullMessagesResponse{}, nil
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errReplaced) {
				return &flwrpb.RawPullMessagesResponse{}, nil
			}
			return nil, ctx.Err()
		}
	}
}

// next is the message that the node has not confirmed, or else the next one in its queue. The lease
// ends with the node's life: as long as it shows some, it is at work on the message.
func (s *server) next(ctx context.Context, node state.Node) (m state.Message, found bool, err error) {
	for {
		leased, err := s.cfg.Office.Leased(ctx, node.ID)
		if err != nil {
			return state.Message{}, false, fmt.Errorf("list what is leased to node %d: %w", node.ID, err)
		}
		if len(leased) == 0 {
			leased, err = s.cfg.Office.Lease(ctx, node.ID, 1, time.Now().Add(patience*node.HeartbeatInterval))
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
		if err := s.cfg.Office.GiveUp(ctx, m.ID, reason); err != nil {
			return state.Message{}, false, err
		}
	}
}

func pulled(m state.Message) *flwrpb.RawPullMessagesResponse {
	return &flwrpb.RawPullMessagesResponse{Messages: [][]byte{m.Proto}, Trees: [][]byte{m.Tree}}
}

// confirm ends the lease: the node has the message and all its objects. An unknown message was
// confirmed before, or nobody is waiting for it any more.
func (s *server) confirm(ctx context.Context, node state.Node, req *flwrpb.ConfirmMessageReceivedRequest) (proto.Message, error) {
	s.lives(ctx, &node)
	run, err := s.running(ctx, req.GetRunId(), flwr.CodeRunStatusNotAllowed)
	if err != nil {
		return nil, err
	}
	id := req.GetMessageObjectId()
	if err := s.cfg.Office.Deliver(ctx, node.ID, []string{id}); err != nil {
		return nil, fmt.Errorf("record that message %.80s is delivered: %w", id, err)
	}
	s.deliveries.forget(node.ID, id)
	s.traffic.Keep(ctx, run.ID)
	return &flwrpb.ConfirmMessageReceivedResponse{}, nil
}
