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
)

// A site may have many nodes behind one address; libp2p's own limits let in 8.
func TestManyPeersOfOneAddress(t *testing.T) {
	n := 300
	if testing.Short() {
		n = 50
	}
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Listen: loopback[:1]}})
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
