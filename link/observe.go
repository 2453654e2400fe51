package link

import (
	"context"
	"net/http"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/link/state"
)

// serveStatus answers observers through the overlay.
func (l *Link) serveStatus(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		status, err := l.Status(r.Context())
		if p, bad := peer.Decode(r.RemoteAddr); bad != nil || !l.members.is(p, state.RoleOperator) {
			status = status.forObservers()
		}
		answer(w, status, err)
	})
	return daemon.ServeHTTP(ctx, l.host.ListenMembers(remote.StatusProtocol), l.only(mux, state.RoleObserver, state.RoleOperator))
}

// only lets members with one of the roles through. The role is looked up for each request,
// since it may have been taken away.
func (l *Link) only(next http.Handler, roles ...state.Role) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := peer.Decode(r.RemoteAddr)
		if err != nil || !l.members.is(p, roles...) {
			http.Error(w, `{"detail":"the role of this peer does not allow this"}`, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// forObservers is the status without what tells where the members are and who they are: how
// things stand is what an observer is let in for.
func (s Status) forObservers() Status {
	s.Members = []Member{}
	s.Nodes = append([]NodeStatus{}, s.Nodes...)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		n.PeerID, n.LastFailure = "", "" // failures name addresses
		if n.Path != nil {
			path := *n.Path
			path.Address = ""
			n.Path = &path
		}
	}
	s.Runs = append([]RunStatus{}, s.Runs...)
	for i := range s.Runs {
		run := &s.Runs[i]
		run.WaitingFor = append([]WaitingFor(nil), run.WaitingFor...)
		for j := range run.WaitingFor {
			run.WaitingFor[j].LastFailure = ""
		}
	}
	return s
}
