package intake

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/store"
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
func parse(o *sessionpb.Offer) (store.Offer, *flwrpb.Run, error) {
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
			return store.Offer{}, nil, fmt.Errorf("%w: %s: %w", ErrBadOffer, part.name, err)
		}
	}
	meta := msg.GetMetadata()
	switch {
	case !object.Valid(meta.GetMessageId()):
		return store.Offer{}, nil, fmt.Errorf("%w: message id %q", ErrBadOffer, meta.GetMessageId())
	case tree.GetObjectId() != meta.GetMessageId():
		return store.Offer{}, nil, fmt.Errorf("%w: the object tree is of %q, not of the message", ErrBadOffer, tree.GetObjectId())
	case run.GetRunId() == 0 || run.GetRunId() != meta.GetRunId():
		return store.Offer{}, nil, fmt.Errorf("%w: message of run %d with run %d", ErrBadOffer, meta.GetRunId(), run.GetRunId())
	case run.GetSeriesId() == 0:
		return store.Offer{}, nil, fmt.Errorf("%w: run %d has no series", ErrBadOffer, run.GetRunId())
	case !object.Valid(run.GetFabHash()):
		return store.Offer{}, nil, fmt.Errorf("%w: bundle hash %q", ErrBadOffer, run.GetFabHash())
	}
	ids, err := object.PostOrder(&tree, object.TreeLimits{})
	if err != nil {
		return store.Offer{}, nil, fmt.Errorf("%w: %w", ErrBadOffer, err)
	}
	return store.Offer{
		MessageID: meta.GetMessageId(),
		Message:   o.GetMessage(),
		Tree:      o.GetTree(),
		ObjectIDs: ids,
		Run: store.Run{
			ID:            run.GetRunId(),
			SeriesID:      run.GetSeriesId(),
			FABHash:       run.GetFabHash(),
			Proto:         o.GetRun(),
			Verifications: o.GetFabVerifications(),
		},
	}, &run, nil
}
