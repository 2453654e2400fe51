package p2p

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// A site with many nodes behind one address; libp2p's own limits let in 8.
func TestManyPeersOfOneAddress(t *testing.T) {
	n := 300
	if testing.Short() {
		n = 50
	}
	hub := newHost(t, Config{Role: Hub, Overlay: Overlay{Listen: loopback[:1]}})
	hub.HandleMembers(echoProtocol, echo)
	to := info(hub)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	work := make(chan int)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range work {
				light(t, ctx, to)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	all.Wait()
	if got := len(hub.Network().Peers()); got < n {
		t.Errorf("%d of %d are connected", got, n)
	}
}

// light connects a host that costs little.
func light(t *testing.T, ctx context.Context, to peer.AddrInfo) {
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(libp2ptls.ID, libp2ptls.New), libp2p.DisableRelay())
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { h.Close() })
	if err := h.Connect(ctx, to); err != nil {
		t.Error(err)
		return
	}
	s, err := h.NewStream(ctx, to.ID, echoProtocol)
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	if err := hello(s); err != nil {
		t.Error(err)
	}
}

func TestLobbyIsBounded(t *testing.T) {
	hub := newHost(t, Config{Role: Hub, Gate: &members{ticket: true}})
	conns := make([]*lingering, lobbyPeers+10)
	for i := range conns {
		conns[i] = &lingering{inbound: inbound{addr: ma.StringCast("/ip4/11.0.0.1/tcp/1")}, closed: make(chan network.ConnErrorCode, 1)}
		hub.lobby.arrived(conns[i])
	}
	if got := len(guests(hub)); got != lobbyPeers {
		t.Errorf("%d guests", got)
	}
	for _, c := range conns[lobbyPeers:] {
		if code := <-c.closed; code != network.ConnResourceLimitExceeded {
			t.Errorf("closed with %v", code)
		}
	}
	for _, c := range conns {
		hub.lobby.gone(c)
	}
	if got := len(guests(hub)); got != 0 {
		t.Errorf("%d guests stay", got)
	}
}

type lingering struct {
	inbound
	closed chan network.ConnErrorCode
}

func (c *lingering) CloseWithError(code network.ConnErrorCode) error {
	c.closed <- code
	return nil
}
