package node_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/node"
	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

func withSwarm(t *ticket.Ticket) { t.Swarm = true }

// swarmSession waits for the node and tells it that there is a swarm.
func (l *fakeLink) swarmSession() *linkSession {
	l.t.Helper()
	session := l.hello()
	session.write(&sessionpb.Frame{Body: &sessionpb.Frame_Welcome{Welcome: &sessionpb.Welcome{
		NodeId: nodetest.NodeID, Federation: "fed", HeartbeatMillis: 5000, GraceMillis: 30_000, Swarm: true,
	}}})
	return session
}

// awaitSwarm waits until the node reports this state of its swarm.
func awaitSwarm(t testing.TB, n *running, state string, peers int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s, err := n.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if s.Swarm.State == state && s.Swarm.Peers == peers {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the swarm is %+v, want %s with %d peers", s.Swarm, state, peers)
		}
		time.Sleep(5 * time.Millisecond) // between looks at what has no bell
	}
}

func TestASwarmNeedsTheTicketsWord(t *testing.T) {
	link := newLink(t)
	for name, tt := range map[string]struct {
		ticket   func(*ticket.Ticket)
		decline  bool
		declined bool
	}{
		"a ticket without": {nil, false, true},
		"a ticket with":    {withSwarm, false, false},
		"and declined":     {withSwarm, true, true},
	} {
		cfg := config(t, filepath.Join(t.TempDir(), "node"))
		cfg.Join, cfg.DeclineSwarm = link.ticket(tt.ticket), tt.decline
		n := start(t, cfg)
		s := link.swarmSession()
		if s.hello.GetDeclineSwarm() != tt.declined || (len(s.hello.GetAddrs()) > 0) == tt.declined {
			t.Errorf("%s: the node says %v", name, s.hello)
		}
		state := "on"
		if tt.declined {
			state = "declined"
		}
		awaitSwarm(t, n, state, 0)
		if err := n.end(); err != nil {
			t.Error(err)
		}
	}
}

func TestNodesAreVouchedForByTheSession(t *testing.T) {
	leakFree(t)
	link := newLink(t)
	cfg := config(t, filepath.Join(t.TempDir(), "node"))
	cfg.Join = link.ticket(withSwarm)
	n := start(t, cfg)
	s := link.swarmSession()
	identity, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	other, err := p2p.NewHost(p2p.Config{Identity: identity, Overlay: p2p.Overlay{NoListen: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	addrs := s.hello.GetAddrs()
	info := peer.AddrInfo{ID: n.PeerID(), Addrs: multiaddrs(t, addrs)}
	connected := func() bool { return len(other.Network().ConnsToPeer(n.PeerID())) > 0 }
	await := func(want bool) {
		t.Helper()
		deadline := time.Now().Add(patience)
		for connected() != want {
			if time.Now().After(deadline) {
				t.Fatalf("connected: %v", !want)
			}
			time.Sleep(5 * time.Millisecond) // between looks at what has no bell
		}
	}

	_ = other.Connect(t.Context(), info)
	await(false) // a stranger is cut off

	name := func(runID uint64, ids ...peer.ID) {
		peers := &sessionpb.Peers{RunId: runID}
		for _, id := range ids {
			peers.Peers = append(peers.Peers, &sessionpb.Provider{PeerId: []byte(id), Addrs: [][]byte{{0xff}}})
		}
		s.write(&sessionpb.Frame{Body: &sessionpb.Frame_Peers{Peers: peers}})
	}
	name(7, link.host.ID(), n.PeerID(), "no peer id", identity.ID)
	awaitSwarm(t, n, "on", 1)
	if err := other.Connect(t.Context(), info); err != nil {
		t.Fatal(err)
	}
	await(true)
	name(8, identity.ID)
	name(7)
	name(7, identity.ID)
	awaitSwarm(t, n, "on", 1)
	await(true) // run 8 vouched for it all the time
	s.write(&sessionpb.Frame{Body: &sessionpb.Frame_Cancel{Cancel: &sessionpb.Cancel{RunId: 7}}})
	s.write(&sessionpb.Frame{Body: &sessionpb.Frame_Cancel{Cancel: &sessionpb.Cancel{RunId: 8}}})
	awaitSwarm(t, n, "on", 0)
	await(false)

	name(9, identity.ID)
	awaitSwarm(t, n, "on", 1)
	if err := other.Connect(t.Context(), info); err != nil {
		t.Fatal(err)
	}
	if err := s.s.Reset(); err != nil {
		t.Fatal(err)
	}
	await(false) // nobody vouches for it without a session
	link.session()
	awaitSwarm(t, n, "off", 0)
}

func multiaddrs(t testing.TB, raw [][]byte) (addrs []ma.Multiaddr) {
	t.Helper()
	for _, b := range raw {
		addr, err := ma.NewMultiaddrBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, addr)
	}
	return addrs
}

func TestUploadsNeedARateThatWorks(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.SwarmUploadRate = 1000
	if n, err := node.Open(t.Context(), cfg); err == nil {
		_ = n.Close()
		t.Error("1000 bytes per second must be refused as a limit")
	}
}
