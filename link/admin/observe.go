package admin

import (
	"net/http"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

// ObserverHandler answers members with the role observer or operator, who come through the
// overlay: their peer ids are the remote addresses of the requests.
func (a *Admin) ObserverHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		status, err := a.Status(r.Context())
		if p, bad := peer.Decode(r.RemoteAddr); bad != nil || !a.cfg.Members.Is(p, join.RoleOperator) {
			status = status.forObservers()
		}
		answer(w, status, err)
	})
	return a.cfg.Members.Only(mux, join.RoleObserver, join.RoleOperator)
}

// forObservers is the status without anything that tells who and where the members are: an
// observer is admitted to see how things stand, and no more.
func (s Status) forObservers() Status {
	s.Members = []membership.Member{}
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
