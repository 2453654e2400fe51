package admin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p"
)

// An observer is shown nobody's name; what an operator is shown stays as it was.
func TestObserversLearnNothingOfMembers(t *testing.T) {
	full := Status{
		PeerID: "the link", Addresses: []string{"/ip4/192.0.2.7/tcp/4001"},
		Members: []membership.Member{{PeerID: "secret member", Name: "secret member"}},
		Nodes: []NodeStatus{{ID: 7, Name: "ward 3", PeerID: "secret node", Report: p2p.Report{
			LastFailure: "dial secret address", Path: &p2p.PathReport{Address: "/ip4/secret address", Transport: "quic"},
		}}},
		Runs: []RunStatus{{ID: 1, WaitingFor: []WaitingFor{{NodeID: 7, LastFailure: "dial secret address"}}}},
	}
	before, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal(full.forObservers())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(shown), "secret") {
		t.Errorf("an observer saw %s", shown)
	}
	for _, kept := range []string{"the link", "ward 3", "quic", `"waiting_for":[`} {
		if !strings.Contains(string(shown), kept) {
			t.Errorf("an observer did not see %q: %s", kept, shown)
		}
	}
	if after, err := json.Marshal(full); err != nil || string(after) != string(before) {
		t.Errorf("the status itself was changed: %s, %v", after, err)
	}
}

func TestNodeIsDescribedByWhatFollows(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	for want, n := range map[string]NodeStatus{
		"unknown":                  {},
		"connected since 12:30:00": {ID: 1, Session: &at},
		"away; its messages fail at 12:30:00 unless it returns": {ID: 1, AwayUntil: &at},
		string(state.NodeOffline):                               {ID: 1, Status: state.NodeOffline},
	} {
		if got := n.describe(); got != want {
			t.Errorf("%+v is %q, want %q", n, got, want)
		}
	}
}
