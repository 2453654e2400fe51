package control

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

func (a *api) listNodes(ctx context.Context, _ *flwrpb.ListNodesRequest) (proto.Message, error) {
	infos, err := a.nodeInfos(ctx)
	if err != nil {
		return nil, err
	}
	return &flwrpb.ListNodesResponse{NodesInfo: infos, Now: state.ISOTime(a.now())}, nil
}

func (a *api) nodeInfos(ctx context.Context) ([]*flwrpb.NodeInfo, error) {
	nodes, err := a.store.ListNodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	infos := make([]*flwrpb.NodeInfo, len(nodes))
	for i, node := range nodes {
		infos[i] = node.Proto()
	}
	return infos, nil
}

// registerNode lets the stock SuperNode with this key in. Rhizome nodes join by ticket.
func (a *api) registerNode(ctx context.Context, req *flwrpb.RegisterNodeRequest) (proto.Message, error) {
	if !isNISTKey(req.PublicKey) {
		return nil, flwr.NewError(flwr.CodeInvalidPublicKey)
	}
	if req.Location != nil {
		if err := checkLocation(*req.Location); err != nil {
			return nil, flwr.NewError(flwr.CodeInvalidLocation).WithExtra(err.Error())
		}
	}
	if !isPrintable(req.GetName(), maxName) {
		return nil, flwr.Plain(http.StatusBadRequest, fmt.Sprintf("A name has at most %d bytes, all printable.", maxName))
	}
	node, err := a.store.RegisterNode(ctx, state.Node{
		PublicKey: req.PublicKey, Name: req.GetName(), Location: req.GetLocation(), OwnerID: state.AccountNone,
	})
	if errors.Is(err, state.ErrKeyInUse) || errors.Is(err, state.ErrNotAllowed) {
		return nil, flwr.NewError(flwr.CodePublicKeyInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("register a node: %w", err)
	}
	return &flwrpb.RegisterNodeResponse{NodeId: proto.Uint64(node.ID)}, nil
}

// unregisterNode is final. For a Rhizome node it is the same as removing the member.
func (a *api) unregisterNode(ctx context.Context, req *flwrpb.UnregisterNodeRequest) (proto.Message, error) {
	err := a.store.UnregisterNode(ctx, req.NodeId)
	if errors.Is(err, state.ErrNotFound) || errors.Is(err, state.ErrNotAllowed) {
		return nil, flwr.NewError(flwr.CodeNodeNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("unregister node %d: %w", req.NodeId, err)
	}
	log.Info("a node was unregistered by the user", "node", req.NodeId)
	return &flwrpb.UnregisterNodeResponse{}, nil
}

// isNISTKey reports whether the PEM holds an elliptic-curve key that stock SuperNodes sign with.
func isNISTKey(text []byte) bool {
	block, _ := pem.Decode(text)
	if block == nil {
		return false
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return false
	}
	ec, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return false
	}
	switch ec.Curve {
	case elliptic.P224(), elliptic.P256(), elliptic.P384(), elliptic.P521():
		return true
	}
	return false
}

// checkLocation accepts "latitude,longitude" in degrees, which the flwr command draws on a map.
func checkLocation(location string) error {
	form := errors.New(`a location is "<latitude>,<longitude>", two numbers`)
	north, east, two := strings.Cut(location, ",")
	if !two || len(location) > maxLocation {
		return form
	}
	latitude, err := strconv.ParseFloat(strings.TrimSpace(north), 64)
	if err != nil {
		return form
	}
	longitude, err := strconv.ParseFloat(strings.TrimSpace(east), 64)
	if err != nil {
		return form
	}
	if !(math.Abs(latitude) <= 90 && math.Abs(longitude) <= 180) { // NaN is refused too
		return errors.New("a latitude is between -90 and 90, a longitude between -180 and 180")
	}
	return nil
}

func isPrintable(text string, limit int) bool {
	return len(text) <= limit && printable.Is(text)
}
