package stock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// registerNode makes a node of a key. A key that already has a node is refused, as in Flower,
// unless that node was never active: then this is the same SuperNode, which did not hear the first
// answer, and refusing it would end it.
func (s *server) registerNode(ctx context.Context, who *signer, _ *flwrpb.RegisterNodeFleetRequest) (proto.Message, error) {
	if s.cfg.RegisteredOnly {
		return nil, flwr.NewError(flwr.CodeFleetRegistrationDisabled)
	}
	node, err := s.cfg.Store.RegisterNode(ctx, state.Node{PublicKey: []byte(who.publicKey), OwnerID: state.AccountNone})
	if errors.Is(err, state.ErrKeyInUse) || errors.Is(err, state.ErrNotAllowed) {
		if node, err = s.cfg.Store.NodeByKey(ctx, []byte(who.publicKey)); err == nil && node.Status != state.NodeRegistered {
			return nil, flwr.NewError(flwr.CodePublicKeyInUse)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("register a node: %w", err)
	}
	if err := s.once(who); err != nil {
		return nil, err
	}
	log.Info("a SuperNode registered itself", "node", node.ID)
	return &flwrpb.RegisterNodeFleetResponse{NodeId: node.ID}, nil
}

// activateNode makes a registered or offline node online, and also one that still is: a SuperNode
// that crashed and was started again shows the same key before its old self is missed. Flower
// refuses it for that minute, which ends the process; but the signature says that it is the same
// node, and there is nothing to protect the old self from.
//
// A SuperNode that starts has nothing in its memory. Whatever it was given before is given to it
// again.
func (s *server) activateNode(ctx context.Context, who *signer, req *flwrpb.ActivateNodeRequest) (proto.Message, error) {
	node, err := s.cfg.Store.NodeByKey(ctx, []byte(who.publicKey))
	switch {
	case errors.Is(err, state.ErrNotFound) || err == nil && !mayUse(node):
		return nil, flwr.NewError(flwr.CodeActivateNodeFailed)
	case err != nil:
		return nil, fmt.Errorf("look up the node of a key: %w", err)
	}
	if err := s.once(who); err != nil {
		return nil, err
	}
	interval, err := heartbeatInterval(req.GetHeartbeatInterval())
	if err != nil {
		return nil, err
	}
	err = s.cfg.Store.ActivateNode(ctx, node.ID, interval, time.Now().Add(patience*interval), true)
	switch {
	case errors.Is(err, state.ErrNotFound), errors.Is(err, state.ErrNotAllowed):
		return nil, flwr.NewError(flwr.CodeActivateNodeFailed).WithCause(err)
	case err != nil:
		return nil, fmt.Errorf("activate node %d: %w", node.ID, err)
	}
	if err := s.giveAgain(ctx, node.ID); err != nil {
		return nil, err
	}
	if node.Status == state.NodeOnline {
		log.Warn("a SuperNode was started again while it seemed to be online; if another process uses its key, give each its own", "node", node.ID)
	} else {
		log.Info("a SuperNode is online", "node", node.ID)
	}
	return &flwrpb.ActivateNodeResponse{NodeId: node.ID}, nil
}

// giveAgain puts everything that the node was given and has not answered back into its queue.
func (s *server) giveAgain(ctx context.Context, nodeID uint64) error {
	owed, err := s.cfg.Store.UnansweredInstructions(ctx, nodeID)
	if err != nil {
		return fmt.Errorf("list what node %d owes: %w", nodeID, err)
	}
	var given []string
	for _, m := range owed {
		if m.State == state.Leased || m.State == state.Delivered {
			given = append(given, m.ID)
		}
	}
	if err := s.cfg.Store.Unlease(ctx, given); err != nil {
		return fmt.Errorf("take back what node %d lost: %w", nodeID, err)
	}
	s.deliveries.forgetNode(nodeID)
	return nil
}

// heartbeatInterval checks what a node says about itself.
func heartbeatInterval(seconds float64) (time.Duration, error) {
	if !(seconds >= minHeartbeat && seconds <= maxHeartbeat) { // NaN is refused, too
		return 0, flwr.NewError(flwr.CodeInvalidHeartbeatInterval)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// heartbeat keeps the node online, or brings it back.
func (s *server) heartbeat(ctx context.Context, node state.Node, req *flwrpb.SendNodeHeartbeatRequest) (proto.Message, error) {
	interval, err := heartbeatInterval(req.GetHeartbeatInterval())
	if err != nil {
		return nil, err
	}
	known, err := s.touch(ctx, node.ID, interval, time.Now().Add(patience*interval))
	if err != nil {
		return nil, err
	}
	return &flwrpb.SendNodeHeartbeatResponse{Success: known}, nil
}

// touch records a sign of life of the node, and that it is still working on what was leased to it.
// It returns false if it is not a node any more.
func (s *server) touch(ctx context.Context, nodeID uint64, interval time.Duration, until time.Time) (known bool, err error) {
	if known, err = s.cfg.Store.TouchNode(ctx, nodeID, interval, until); err != nil || !known {
		return false, err
	}
	return true, s.cfg.Store.ExtendLeases(ctx, nodeID, until)
}

// lives takes a request about messages for a sign of life: on a slow line the heartbeats may be
// late because of the very objects that the node moves. It only keeps a node online that is: a
// straggler does not bring back one that has left. A request does not fail because this does.
func (s *server) lives(ctx context.Context, node *state.Node) {
	until := time.Now().Add(patience * node.HeartbeatInterval)
	if node.Status != state.NodeOnline || until.Sub(node.OnlineUntil) < lifeStep {
		return
	}
	node.OnlineUntil = until
	if _, err := s.touch(ctx, node.ID, node.HeartbeatInterval, until); err != nil {
		log.Warn("a sign of life was not recorded", "node", node.ID, "err", err)
	}
}

// deactivateNode handles a node that says it is leaving: its ServerApps need not wait for it.
// Saying so twice is not an error.
func (s *server) deactivateNode(ctx context.Context, node state.Node, _ *flwrpb.DeactivateNodeRequest) (proto.Message, error) {
	if node.Status == state.NodeRegistered {
		return nil, flwr.NewError(flwr.CodeDeactivateNodeFailed)
	}
	err := s.cfg.Store.DeactivateNode(ctx, node.ID)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil, flwr.NewError(flwr.CodeDeactivateNodeFailed).WithCause(err)
	case err != nil:
		return nil, fmt.Errorf("deactivate node %d: %w", node.ID, err)
	}
	log.Info("a SuperNode has left", "node", node.ID)
	return &flwrpb.DeactivateNodeResponse{}, nil
}

// unregisterNode is final for the node and its key.
func (s *server) unregisterNode(ctx context.Context, node state.Node, _ *flwrpb.UnregisterNodeFleetRequest) (proto.Message, error) {
	if s.cfg.RegisteredOnly {
		return nil, flwr.NewError(flwr.CodeFleetUnregistrationDisabled)
	}
	err := s.cfg.Store.UnregisterNode(ctx, node.ID)
	switch {
	case errors.Is(err, state.ErrNotFound), errors.Is(err, state.ErrNotAllowed):
		return nil, flwr.NewError(flwr.CodeUnregisterNodeFailed).WithCause(err)
	case err != nil:
		return nil, fmt.Errorf("unregister node %d: %w", node.ID, err)
	}
	log.Info("a SuperNode unregistered itself", "node", node.ID)
	return &flwrpb.UnregisterNodeFleetResponse{}, nil
}
