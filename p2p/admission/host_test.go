package admission

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/p2p/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const echoProtocol protocol.ID = "/test/echo"

// members is a gate over a set that tests change.
type members struct {
	mu      sync.Mutex
	listed  map[peer.ID]bool
	ticket  bool // somebody may join
	revoked map[peer.ID]bool
}

func (m *members) Admit(p peer.ID) Standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.revoked[p]:
		return Refused
	case m.listed[p]:
		return Member
	case m.ticket:
		return Joining
	}
	return Refused
}

func (m *members) add(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listed = map[peer.ID]bool{p: true}
}

func (m *members) revoke(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoked = map[peer.ID]bool{p: true}
}

// relay is all the host knows: one relay, or nobody if it is empty.
type relay peer.ID

func (relay) Keeps(peer.ID) bool                 { return false }
func (relay) Expects(peer.ID) bool               { return false }
func (r relay) IsRelay(p peer.ID) bool           { return peer.ID(r) == p && p != "" }
func (relay) MayDial(peer.ID, ma.Multiaddr) bool { return true }

// guarded is a libp2p host with nothing of ours but admission.
type guarded struct {
	host.Host
	*Controller
}

func (g *guarded) Close() error { return g.Host.Close() }

func newGuarded(t *testing.T, gate Gate, knows relay) *guarded {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	c, err := New(Config{
		Key: id.Key.GetPublic(), Gate: gate, Peers: knows, MaxPeers: DefaultMaxPeers, Background: func(f func()) { work.Go(f) },
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(id.Key), libp2p.UserAgent("rhizome/1.2.3"), libp2p.DisableMetrics(), libp2p.NoListenAddrs,
		libp2p.ResourceManager(c.Resources()), libp2p.ConnectionManager(c.Connections()), libp2p.ConnectionGater(c.Gater()))
	if err != nil {
		c.Discard()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		c.Close()
		work.Wait()
	})
	c.Guard(h.Network().(Network), h.Mux())
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, conn network.Conn) { c.Arrived(conn) },
		DisconnectedF: func(_ network.Network, conn network.Conn) { c.Gone(conn) },
	})
	// Over TCP the reset may overtake the reason why a connection was closed.
	if err := h.Network().Listen(ma.StringCast("/ip4/127.0.0.1/udp/0/quic-v1")); err != nil {
		t.Fatal(err)
	}
	return &guarded{h, c}
}

// newStock makes a libp2p host such as anybody may run.
func newStock(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.DisableMetrics(), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// connect returns the connection as the dialling side has it.
func connect(t *testing.T, from, to host.Host) network.Conn {
	t.Helper()
	if err := from.Connect(testContext(t), peer.AddrInfo{ID: to.ID(), Addrs: to.Network().ListenAddresses()}); err != nil {
		t.Fatal(err)
	}
	return from.Network().ConnsToPeer(to.ID())[0]
}

func echo(s network.Stream) {
	defer s.Close()
	_, _ = io.Copy(s, s)
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for changes that have no event.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx := testContext(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("never: ", what)
		}
	}
}
