package control

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// federation is the only one of a SuperLink without federation management.
func federation() *flwrpb.Federation {
	return &flwrpb.Federation{
		Name:        state.FederationDefault,
		Description: "The federation of this SuperLink.",
		Members:     []*flwrpb.Member{{Account: &flwrpb.Account{Id: state.AccountNone, Name: "none"}, Role: "owner"}},
		MemberCount: proto.Uint32(1),
	}
}

func (a *api) listFederations(context.Context, *flwrpb.ListFederationsRequest) (proto.Message, error) {
	return &flwrpb.ListFederationsResponse{Federations: []*flwrpb.Federation{federation()}}, nil
}

func (a *api) showFederation(ctx context.Context, req *flwrpb.ShowFederationRequest) (proto.Message, error) {
	if req.FederationName != state.FederationDefault {
		return nil, flwr.NewError(flwr.CodeFederationNotMember)
	}
	shown := federation()
	var err error
	if shown.Nodes, err = a.nodeInfos(ctx); err != nil {
		return nil, err
	}
	runs, err := a.store.ListRuns(ctx, federationRuns, 0)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	for _, run := range runs {
		shown.Runs = append(shown.Runs, run.Proto())
	}
	return &flwrpb.ShowFederationResponse{Federation: shown, Now: state.ISOTime(a.now())}, nil
}
