package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Status is what a link knows about itself and its federation. 64-bit ids are strings in
// JSON, since many JSON readers round them.
type Status struct {
	PeerID      string              `json:"peer_id"`
	Software    string              `json:"software,omitempty"`
	Federation  string              `json:"federation"`
	StartedAt   time.Time           `json:"started_at"`
	HTTPAddress string              `json:"http_address"`
	TLS         bool                `json:"tls"`
	Addresses   []string            `json:"addresses"`
	SuperExec   string              `json:"superexec"`
	Runs        []RunStatus         `json:"runs"`
	Nodes       []NodeStatus        `json:"nodes"`
	Members     []membership.Member `json:"members"`
}

// RunStatus tells how a run stands. Unfinished runs come first, then the last finished ones.
type RunStatus struct {
	ID     uint64 `json:"id,string"`
	App    string `json:"app"`
	Status string `json:"status"` // as flwr ls shows it, such as finished:completed
	// Since is when it entered this state.
	Since   time.Time `json:"since"`
	Details string    `json:"details,omitempty"`
	// Waiting says in one line what an unfinished run is waiting for, and what comes next.
	Waiting string `json:"waiting,omitempty"`
	// WaitingFor are the nodes that owe it replies.
	WaitingFor []WaitingFor `json:"waiting_for,omitempty"`
}

// WaitingFor is a node that a run waits for.
type WaitingFor struct {
	NodeID   uint64 `json:"node_id,string"`
	Name     string `json:"name,omitempty"`
	Messages int    `json:"messages"`
	// State of the node: since when it holds, and how long the link will wait.
	State string `json:"state"`
	// LastFailure on the way to the node, if there was one.
	LastFailure string `json:"last_failure,omitempty"`
}

// NodeStatus tells how a node stands.
type NodeStatus struct {
	ID     uint64           `json:"id,string"`
	Name   string           `json:"name,omitempty"`
	PeerID string           `json:"peer_id,omitempty"` // empty: a stock SuperNode
	Status state.NodeStatus `json:"status"`
	// Session is when the present session was opened.
	Session *time.Time `json:"session,omitempty"`
	// AwayUntil is when the link gives up on a node that has no session.
	AwayUntil *time.Time `json:"away_until,omitempty"`
	p2p.Report
}

// Status is the state of the link as it is now.
func (a *Admin) Status(ctx context.Context) (Status, error) {
	s := Status{
		PeerID: a.cfg.Host.ID().String(), Software: a.cfg.Software, Federation: a.cfg.Federation, StartedAt: a.cfg.Started,
		HTTPAddress: a.cfg.HTTPAddress, TLS: a.cfg.TLS, SuperExec: a.cfg.SuperExec(),
		Addresses: a.Addresses(), Nodes: []NodeStatus{},
	}
	known, err := a.cfg.Store.ListNodes(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("list the nodes: %w", err)
	}
	a.measure(ctx, known)
	byID := make(map[uint64]NodeStatus, len(known))
	for _, n := range known {
		node := a.nodeStatus(n)
		byID[n.ID] = node
		if n.Status != state.NodeUnregistered {
			s.Nodes = append(s.Nodes, node)
		}
	}
	if s.Runs, err = a.runStatuses(ctx, byID); err != nil {
		return Status{}, err
	}
	if s.Members, err = a.cfg.Members.List(ctx); err != nil {
		return Status{}, err
	}
	return s, nil
}

// Addresses are the link's addresses with its peer id, best first.
func (a *Admin) Addresses() []string {
	all := []string{}
	for _, address := range a.cfg.Host.Addresses() {
		all = append(all, address.String()+"/p2p/"+a.cfg.Host.ID().String())
	}
	return all
}

// measure has the round trips to nodes with a session measured: the nodes dial the link, so
// nothing on this side has measured them yet.
func (a *Admin) measure(ctx context.Context, known []state.Node) {
	var connected []peer.ID
	for _, n := range known {
		if id, err := peer.Decode(n.PeerID); err == nil {
			if _, open := a.cfg.Sessions.Connected(id); open {
				connected = append(connected, id)
			}
		}
	}
	a.cfg.Host.Measure(ctx, connected...)
}

func (a *Admin) nodeStatus(n state.Node) NodeStatus {
	node := NodeStatus{ID: n.ID, Name: n.Name, PeerID: n.PeerID, Status: n.Status}
	id, err := peer.Decode(n.PeerID)
	if err != nil {
		return node
	}
	if since, open := a.cfg.Sessions.Connected(id); open {
		node.Session = &since
	} else if n.Status == state.NodeOnline && !n.OnlineUntil.IsZero() {
		node.AwayUntil = &n.OnlineUntil
	}
	node.Report = a.cfg.Host.Report(id)
	return node
}

func (a *Admin) runStatuses(ctx context.Context, nodes map[uint64]NodeStatus) ([]RunStatus, error) {
	unfinished, err := a.cfg.Store.UnfinishedRuns(ctx)
	if err != nil {
		return nil, fmt.Errorf("list unfinished runs: %w", err)
	}
	recent, err := a.cfg.Store.ListRuns(ctx, uint64(statusRuns+len(unfinished)), 0)
	if err != nil {
		return nil, fmt.Errorf("list the last runs: %w", err)
	}
	runs := []RunStatus{}
	for _, run := range unfinished {
		status, err := a.runStatus(ctx, run, nodes)
		if err != nil {
			return nil, err
		}
		runs = append(runs, status)
	}
	for _, run := range recent {
		if run.PrimaryTask.Status != task.Finished {
			continue
		}
		t := run.PrimaryTask
		runs = append(runs, RunStatus{
			ID: run.ID, App: run.FABID, Status: string(t.Status) + ":" + string(t.SubStatus), Since: t.FinishedAt, Details: t.Details,
		})
	}
	return runs[:min(len(runs), statusRuns+len(unfinished))], nil
}

// runStatus says what an unfinished run is waiting for.
func (a *Admin) runStatus(ctx context.Context, run state.Run, nodes map[uint64]NodeStatus) (RunStatus, error) {
	t := run.PrimaryTask
	status := RunStatus{ID: run.ID, App: run.FABID, Status: string(t.Status), Details: t.Details}
	switch t.Status {
	case task.Pending:
		status.Since = t.PendingAt
		status.Waiting = "a SuperExec to take its ServerApp; the SuperExec is " + a.cfg.SuperExec()
		return status, nil
	case task.Starting:
		status.Since = t.StartingAt
		status.Waiting = fmt.Sprintf("the ServerApp process to start; if it has not by %s, another is started", t.ActiveUntil.Format(time.TimeOnly))
		return status, nil
	}
	status.Since = t.RunningAt
	owed, err := a.cfg.Store.UnansweredByNode(ctx, run.ID)
	if err != nil {
		return RunStatus{}, fmt.Errorf("look up who owes run %d replies: %w", run.ID, err)
	}
	if len(owed) == 0 {
		status.Waiting = "the ServerApp, which is at work; no node owes it a reply"
		return status, nil
	}
	messages := 0
	for id, count := range owed {
		messages += count
		node := nodes[id]
		status.WaitingFor = append(status.WaitingFor, WaitingFor{
			NodeID: id, Name: node.Name, Messages: count, State: node.describe(), LastFailure: node.LastFailure,
		})
	}
	slices.SortFunc(status.WaitingFor, func(a, b WaitingFor) int { return b.Messages - a.Messages })
	status.Waiting = fmt.Sprintf("%d replies from %d nodes", messages, len(owed))
	return status, nil
}

// describe says in a few words where a node is, and what happens next.
func (n NodeStatus) describe() string {
	switch {
	case n.ID == 0:
		return "unknown"
	case n.Session != nil:
		return "connected since " + n.Session.Format(time.TimeOnly)
	case n.AwayUntil != nil:
		return "away; its messages fail at " + n.AwayUntil.Format(time.TimeOnly) + " unless it returns"
	default:
		return string(n.Status)
	}
}
