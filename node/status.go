package node

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/node/session"
	"github.com/rhizome-fl/rhizome/p2p"
)

// Status is what a node knows about itself. Ids of 64 bits are strings in JSON, since many
// readers of JSON round them.
type Status struct {
	PeerID         string    `json:"peer_id"`
	NodeID         uint64    `json:"node_id,string,omitempty"` // 0 before the first session
	Name           string    `json:"name,omitempty"`
	Software       string    `json:"software,omitempty"`
	Federation     string    `json:"federation,omitempty"`
	StartedAt      time.Time `json:"started_at"`
	RuntimeAddress string    `json:"runtime_address"`
	Slots          int       `json:"slots"`
	SuperExec      string    `json:"superexec"`
	// State says in one line how the node is doing and what comes next.
	State string      `json:"state"`
	Link  LinkStatus  `json:"link"`
	Runs  []RunStatus `json:"runs"`
	Swarm SwarmStatus `json:"swarm"`
}

// LinkStatus says how the node stands with its SuperLink.
type LinkStatus struct {
	PeerID    string         `json:"peer_id"`
	Addresses []string       `json:"addresses"`
	Joined    bool           `json:"joined"`
	Session   session.Status `json:"session"`
	p2p.Report
}

// RunStatus counts the messages that the node has for a run.
type RunStatus struct {
	ID uint64 `json:"id,string"`
	// Arriving counts messages that are offered and not yet complete, Queued those that wait for
	// a slot, Working those that are with an app, and Unsent those whose answer the link has not
	// acknowledged.
	Arriving int `json:"arriving"`
	Queued   int `json:"queued"`
	Working  int `json:"working"`
	Unsent   int `json:"unsent"`
	// LastFailure is the last failure of an app of the run.
	LastFailure string `json:"last_failure,omitempty"`
}

// Status tells the truth about the node as it is now.
func (n *Node) Status(ctx context.Context) (Status, error) {
	identity, err := n.store.Identity(ctx)
	if err != nil {
		return Status{}, err
	}
	summaries, err := n.store.Summaries(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		PeerID: n.host.ID().String(), NodeID: identity.NodeID, Name: n.cfg.Name, Software: n.cfg.Software,
		Federation: identity.Federation, StartedAt: n.started, RuntimeAddress: n.RuntimeAddress(),
		Slots: n.cfg.Slots, SuperExec: n.superExec.Describe(), Runs: []RunStatus{}, Swarm: n.swarm.status(),
		Link: LinkStatus{
			PeerID: identity.Link, Addresses: identity.LinkAddrs, Joined: identity.Joined, Session: n.session.Status(),
		},
	}
	for _, summary := range summaries {
		s.Runs = append(s.Runs, RunStatus{
			ID: summary.RunID, Arriving: summary.Gathering, Queued: summary.Waiting, Working: summary.Leased, Unsent: summary.Answered, LastFailure: summary.LastFailure,
		})
	}
	n.host.Measure(ctx, n.target.Peer)
	s.Link.Report = n.host.Report(n.target.Peer)
	s.State = s.describe()
	return s, nil
}

func (s Status) describe() string {
	var arriving, queued, working, unsent int
	for _, r := range s.Runs {
		arriving, queued, working, unsent = arriving+r.Arriving, queued+r.Queued, working+r.Working, unsent+r.Unsent
	}
	work := "idle"
	if arriving+queued+working+unsent > 0 {
		work = fmt.Sprintf("%d messages arriving, %d waiting for a slot, %d with an app, %d answers to be acknowledged", arriving, queued, working, unsent)
	}
	switch {
	case s.Link.Session.Open:
		return "connected; " + work
	case !s.Link.Joined:
		return "joining: the SuperLink has not let this node in yet; asking again and again"
	default:
		return "away: the SuperLink cannot be reached; trying again and again;  " + work
	}
}

// AdminHandler serves what commands ask of a running node. Serve it only on the admin socket.
func (n *Node) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		status, err := n.Status(r.Context())
		if err != nil {
			admin.WriteError(w, http.StatusServiceUnavailable, err)
			return
		}
		admin.WriteJSON(w, status)
	})
	mux.HandleFunc("GET /doctor", n.targets)
	return mux
}
