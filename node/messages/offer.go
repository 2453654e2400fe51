package messages

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/swarm"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// ErrBadOffer says that an offer can never be accepted.
var ErrBadOffer = errors.New("malformed offer")

// MessageID returns the id of the offered message; it is empty if it cannot be read.
func MessageID(o *sessionpb.Offer) string {
	says, err := message.Peek(o.GetMessage())
	if err != nil {
		return ""
	}
	return says.ID
}

// parse checks an offer to the node and turns it into what the store keeps: the exact bytes
// of message and tree. Errors wrap ErrBadOffer. shared are the ids of all objects that also go
// to other nodes.
func parse(o *sessionpb.Offer, node uint64) (offer state.Offer, shared []string, err error) {
	run := new(flwrpb.Run)
	if err := proto.Unmarshal(o.GetRun(), run); err != nil {
		return state.Offer{}, nil, fmt.Errorf("%w: run: %w", ErrBadOffer, err)
	}
	switch {
	case run.GetRunId() == 0:
		return state.Offer{}, nil, fmt.Errorf("%w: it has no run", ErrBadOffer)
	case run.GetSeriesId() == 0:
		return state.Offer{}, nil, fmt.Errorf("%w: run %d has no series", ErrBadOffer, run.GetRunId())
	case !object.Valid(run.GetFabHash()):
		return state.Offer{}, nil, fmt.Errorf("%w: bundle hash %.80q", ErrBadOffer, run.GetFabHash())
	}
	m, err := message.ParseInstruction(o.GetMessage(), o.GetTree(), message.Addressed{RunID: run.GetRunId(), Node: node})
	if err != nil {
		return state.Offer{}, nil, fmt.Errorf("%w: message of run %d: %w", ErrBadOffer, run.GetRunId(), err)
	}
	if shared, err = sharedIn(m.Tree(), o.GetShared()); err != nil {
		return state.Offer{}, nil, fmt.Errorf("%w: %w", ErrBadOffer, err)
	}
	return state.Offer{
		MessageID: m.ID(),
		Message:   m.Raw(),
		Tree:      m.Tree(),
		ObjectIDs: m.Objects(),
		Run: state.Run{
			ID:            run.GetRunId(),
			SeriesID:      run.GetSeriesId(),
			FABHash:       run.GetFabHash(),
			Proto:         o.GetRun(),
			Verifications: o.GetFabVerifications(),
		},
	}, shared, nil
}

// sharedIn lists everything in the parts of a tree whose roots are named. The tree is known to
// be small enough to be decoded.
func sharedIn(raw, packed []byte) ([]string, error) {
	if len(packed) == 0 {
		return nil, nil
	}
	tree := new(flwrpb.ObjectTree)
	if err := proto.Unmarshal(raw, tree); err != nil {
		return nil, fmt.Errorf("object tree: %w", err)
	}
	ids, err := swarm.Unpack(packed)
	if err != nil {
		return nil, err
	}
	roots := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		roots[id] = struct{}{}
	}
	var shared []string
	var walk func(tree *flwrpb.ObjectTree, inside bool)
	walk = func(tree *flwrpb.ObjectTree, inside bool) {
		if _, root := roots[tree.GetObjectId()]; root {
			inside = true
		}
		if inside {
			shared = append(shared, tree.GetObjectId())
		}
		for _, child := range tree.GetChildren() {
			walk(child, inside)
		}
	}
	walk(tree, false)
	return shared, nil
}
