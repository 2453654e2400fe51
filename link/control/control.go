package control

import (
	"context"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

var log = logs.For("link/control")

// Config configures the API.
type Config struct {
	Store   state.Store
	Objects objects.Store
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

type api struct {
	store   state.Store
	objects objects.Store
	now     func() time.Time
}

// New makes the handler of all routes below /v1/control/.
func New(cfg Config) http.Handler {
	a := &api{store: cfg.Store, objects: cfg.Objects, now: cfg.Now}
	if a.now == nil {
		a.now = time.Now
	}
	mux := flwr.NewMux()
	mux.Handle(flwr.PathStartRun, unary(maxStartRun, a.startRun))
	mux.Handle(flwr.PathListRuns, unary(flwr.MaxRequest, a.listRuns))
	mux.Handle(flwr.PathStopRun, unary(flwr.MaxRequest, a.stopRun))
	mux.Handle(flwr.PathStreamLogs, a.streamLogs)
	mux.Handle(flwr.PathPullArtifacts, unary(flwr.MaxRequest, a.pullArtifacts))
	mux.Handle(flwr.PathListNodes, unary(flwr.MaxRequest, a.listNodes))
	mux.Handle(flwr.PathRegisterNode, unary(flwr.MaxRequest, a.registerNode))
	mux.Handle(flwr.PathUnregisterNode, unary(flwr.MaxRequest, a.unregisterNode))
	mux.Handle(flwr.PathListFederations, unary(flwr.MaxRequest, a.listFederations))
	mux.Handle(flwr.PathShowFederation, unary(flwr.MaxRequest, a.showFederation))
	mux.Handle(flwr.PathGetLoginDetails, uncached(open(flwr.MaxRequest, a.loginDetails)))
	mux.Handle(flwr.PathGetAuthTokens, uncached(open(flwr.MaxRequest, a.getAuthTokens)))
	mux.Handle(flwr.PathRefreshAuthTokens, uncached(open(flwr.MaxRequest, a.refreshAuthTokens)))
	for _, path := range flwr.UnsupportedControl() {
		mux.Handle(path, flwr.Unsupported)
	}
	return mux
}

// unary turns a function from message to message into a handler.
func unary[Req proto.Message](limit int64, call func(context.Context, Req) (proto.Message, error)) flwr.Handler {
	next := open(limit, call)
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := checkAuthorization(r); err != nil {
			return err
		}
		return next(w, r)
	}
}

// open is unary for clients that have not logged in.
func open[Req proto.Message](limit int64, call func(context.Context, Req) (proto.Message, error)) flwr.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var none Req
		req := none.ProtoReflect().New().Interface().(Req)
		if err := flwr.ReadRequest(r, req, limit); err != nil {
			return err
		}
		res, err := call(r.Context(), req)
		if err != nil {
			return err
		}
		return flwr.WriteResponse(w, r, res)
	}
}

// checkAuthorization accepts any bearer token, since there are no accounts, but not a malformed
// header: its sender believes that it has authenticated itself.
func checkAuthorization(r *http.Request) error {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return nil
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return flwr.NotAuthenticated()
	}
	return nil
}

func uncached(next flwr.Handler) flwr.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Pragma", "no-cache")
		return next(w, r)
	}
}
