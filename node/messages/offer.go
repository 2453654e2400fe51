package messages

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/swarm"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// ErrBadOffer says that an offer can never be accepted.
var ErrBadOffer = errors.New("malformed offer")

// MessageID is the id of the offered message, or empty if the offer does not parse.
func MessageID(o *sessionpb.Offer) string {
	var msg flwrpb.Message
	if proto.Unmarshal(o.GetMessage(), &msg) != nil {
		return ""
	}
	return msg.GetMetadata().GetMessageId()
}

// parse checks an offer and turns it into what the store keeps. Errors wrap ErrBadOffer.
// shared are the ids of all objects that go to other nodes too.
func parse(o *sessionpb.Offer) (offer state.Offer, described *flwrpb.Run, shared []string, err error) {
	var (
		msg  flwrpb.Message
		tree flwrpb.ObjectTree
		run  flwrpb.Run
	)
	for _, part := range []struct {
		name string
		data []byte
		into proto.Message
	}{{"message", o.GetMessage(), &msg}, {"object tree", o.GetTree(), &tree}, {"run", o.GetRun(), &run}} {
		if err := proto.Unmarshal(part.data, part.into); err != nil {
			return state.Offer{}, nil, nil, fmt.Errorf("%w: %s: %w", ErrBadOffer, part.name, err)
		}
	}
	meta := msg.GetMetadata()
	switch {
	case !object.Valid(meta.GetMessageId()):
		return state.Offer{}, nil, nil, fmt.Errorf("%w: message id %q", ErrBadOffer, meta.GetMessageId())
	case tree.GetObjectId() != meta.GetMessageId():
		return state.Offer{}, nil, nil, fmt.Errorf("%w: the object tree is of %q, not of the message", ErrBadOffer, tree.GetObjectId())
	case run.GetRunId() == 0 || run.GetRunId() != meta.GetRunId():
		return state.Offer{}, nil, nil, fmt.Errorf("%w: message of run %d with run %d", ErrBadOffer, meta.GetRunId(), run.GetRunId())
	case run.GetSeriesId() == 0:
		return state.Offer{}, nil, nil, fmt.Errorf("%w: run %d has no series", ErrBadOffer, run.GetRunId())
	case !object.Valid(run.GetFabHash()):
		return state.Offer{}, nil, nil, fmt.Errorf("%w: bundle hash %q", ErrBadOffer, run.GetFabHash())
	}
	ids, err := object.PostOrder(&tree, object.TreeLimits{})
	if err != nil {
		return state.Offer{}, nil, nil, fmt.Errorf("%w: %w", ErrBadOffer, err)
	}
	if shared, err = sharedIn(&tree, o.GetShared()); err != nil {
		return state.Offer{}, nil, nil, fmt.Errorf("%w: %w", ErrBadOffer, err)
	}
	return state.Offer{
		MessageID: meta.GetMessageId(),
		Message:   o.GetMessage(),
		Tree:      o.GetTree(),
		ObjectIDs: ids,
		Run: state.Run{
			ID:            run.GetRunId(),
			SeriesID:      run.GetSeriesId(),
			FABHash:       run.GetFabHash(),
			Proto:         o.GetRun(),
			Verifications: o.GetFabVerifications(),
		},
	}, &run, shared, nil
}

// sharedIn lists what is in the parts of a tree whose roots are named.
func sharedIn(tree *flwrpb.ObjectTree, packed []byte) ([]string, error) {
	if len(packed) == 0 {
		return nil, nil
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
