package control

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// loginDetails tells the client that no login is needed.
func (a *api) loginDetails(context.Context, *flwrpb.GetLoginDetailsRequest) (proto.Message, error) {
	return &flwrpb.GetLoginDetailsResponse{AuthnType: flwr.AuthnNone}, nil
}

func (a *api) getAuthTokens(context.Context, *flwrpb.GetAuthTokensRequest) (proto.Message, error) {
	return nil, flwr.NewError(flwr.CodeNoAccountAuth)
}

// refreshAuthTokens refuses: no token that a client holds was issued here.
func (a *api) refreshAuthTokens(context.Context, *flwrpb.RefreshAuthTokensRequest) (proto.Message, error) {
	return nil, flwr.NewError(flwr.CodeAccountAuthenticationFailed)
}
