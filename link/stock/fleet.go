package stock

import (
	"context"
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/traffic"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

var log = logs.For("link/stock")

// Config configures the API. All fields but RegisteredOnly are required.
type Config struct {
	Store   state.Store
	Objects objects.Store
	Office  *messages.Office
	// RegisteredOnly accepts only nodes whose keys the user has registered (flwr supernode
	// register), as --enable-supernode-auth does on a stock SuperLink. Without it any client that
	// reaches the API can make itself a node.
	RegisteredOnly bool
}

type server struct {
	cfg        Config
	guard      *replayGuard
	holds      *holds
	deliveries *deliveries
	traffic    *traffic.Meter
}

// New makes the handler of all routes below /v1/fleet/. It need not be closed: whoever stops the
// HTTP server ends the contexts of the requests, and nothing runs outside of them.
func New(cfg Config) http.Handler {
	s := &server{cfg: cfg, guard: newReplayGuard(), holds: newHolds(), deliveries: newDeliveries(), traffic: traffic.New(cfg.Store)}
	mux := flwr.NewMux()
	mux.Handle(flwr.PathFleetRegisterNode, withKey(s.registerNode))
	mux.Handle(flwr.PathFleetActivateNode, withKey(s.activateNode))
	mux.Handle(flwr.PathFleetDeactivateNode, unary(s, flwr.MaxRequest, s.deactivateNode))
	mux.Handle(flwr.PathFleetUnregisterNode, unary(s, flwr.MaxRequest, s.unregisterNode))
	mux.Handle(flwr.PathFleetSendNodeHeartbeat, unary(s, flwr.MaxRequest, s.heartbeat))
	mux.Handle(flwr.PathFleetPullMessages, ofNode(s, flwr.MaxRequest, s.pullMessages))
	mux.Handle(flwr.PathFleetPushMessages, unary(s, maxPush, s.pushMessages))
	mux.Handle(flwr.PathFleetGetRun, unary(s, flwr.MaxRequest, s.getRun))
	mux.Handle(flwr.PathFleetGetFAB, ofNode(s, flwr.MaxRequest, s.getFAB))
	mux.Handle(flwr.PathFleetPullObject, ofNode(s, flwr.MaxRequest, s.pullObject))
	mux.Handle(flwr.PathFleetPushObject, s.pushObject)
	mux.Handle(flwr.PathFleetConfirmMessageReceived, unary(s, flwr.MaxRequest, s.confirm))
	return mux
}

// withKey makes a handler of a call by which a key becomes a node: the request names the key that
// signed it. Here and below, the signature is checked before the body is read: a stranger does not
// get to send one.
func withKey[Req interface {
	proto.Message
	GetPublicKey() []byte
}](call func(context.Context, *signer, Req) (proto.Message, error)) flwr.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := flwr.CheckContentType(r); err != nil {
			return err
		}
		who, err := identify(r.Header)
		if err != nil {
			return err
		}
		req := newMessage[Req]()
		if err := flwr.ReadRequest(r, req, flwr.MaxRequest); err != nil {
			return err
		}
		if string(req.GetPublicKey()) != who.publicKey {
			return unauthenticated("the request names a different key from the one that signed it")
		}
		res, err := call(r.Context(), who, req)
		if err != nil {
			return err
		}
		return flwr.WriteResponse(w, r, res)
	}
}

// ofNode makes a handler of a call by a node.
func ofNode[Req proto.Message](s *server, limit int64, call func(http.ResponseWriter, *http.Request, state.Node, Req) error) flwr.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		node, err := s.authenticate(r)
		if err != nil {
			return err
		}
		req := newMessage[Req]()
		if err := flwr.ReadRequest(r, req, limit); err != nil {
			return err
		}
		if err := isFrom(node, req); err != nil {
			return err
		}
		return call(w, r, node, req)
	}
}

// unary is ofNode for calls from message to message.
func unary[Req proto.Message](s *server, limit int64, call func(context.Context, state.Node, Req) (proto.Message, error)) flwr.Handler {
	return ofNode(s, limit, func(w http.ResponseWriter, r *http.Request, node state.Node, req Req) error {
		res, err := call(r.Context(), node, req)
		if err != nil {
			return err
		}
		return flwr.WriteResponse(w, r, res)
	})
}

func newMessage[M proto.Message]() M {
	var none M
	return none.ProtoReflect().New().Interface().(M)
}

// isFrom checks that the request names the node that signed it. The requests of the Fleet API do
// that in two ways.
func isFrom(node state.Node, req proto.Message) error {
	var id uint64
	switch req := req.(type) {
	case interface{ GetNode() *flwrpb.Node }:
		id = req.GetNode().GetNodeId()
	case interface{ GetNodeId() uint64 }:
		id = req.GetNodeId()
	}
	if id != node.ID {
		return unauthenticated("the request names a different node from the one that signed it")
	}
	return nil
}
