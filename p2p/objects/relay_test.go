package objects

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// behindRelay is a peer with objects that others reach through a relay, and the streams
// that came to it.
type behindRelay struct {
	*serving
	circuit Provider
	mu      sync.Mutex
	relayed []bool // for each stream
}

// SetStreamHandler looks at each stream before the server does.
func (b *behindRelay) SetStreamHandler(id protocol.ID, handler network.StreamHandler) {
	b.host.SetStreamHandler(id, func(stream network.Stream) {
		b.mu.Lock()
		b.relayed = append(b.relayed, addr.Relayed(stream.Conn()))
		b.mu.Unlock()
		handler(stream)
	})
}

func (b *behindRelay) RemoveStreamHandler(id protocol.ID) { b.host.RemoveStreamHandler(id) }

func serveBehindRelay(t *testing.T, store Store, limit *relay.RelayLimit, listen ...string) (*behindRelay, host.Host) {
	t.Helper()
	relayHost := newRelayHost(t, anyPort)
	resources := relay.DefaultResources()
	resources.Limit, resources.MaxCircuits = limit, 64
	r, err := relay.New(relayHost, relay.WithResources(resources))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })

	from := &behindRelay{serving: &serving{host: newRelayHost(t, listen...), store: store, meter: &meter{}}}
	from.server = NewServer(from, store, anybody, ServerOptions{Meter: from.meter})
	t.Cleanup(from.server.Close)
	relayInfo := peer.AddrInfo{ID: relayHost.ID(), Addrs: relayHost.Addrs()}
	if err := from.host.Connect(t.Context(), relayInfo); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Reserve(t.Context(), from.host, relayInfo); err != nil {
		t.Fatal(err)
	}
	circuit := ma.StringCast(fmt.Sprintf("%s/p2p/%s/p2p-circuit", relayHost.Addrs()[0], relayHost.ID()))
	from.circuit = Provider{Peer: from.host.ID(), Addrs: []ma.Multiaddr{circuit}}
	return from, newRelayHost(t, anyPort)
}

// newRelayHost is a host with the relay transport.
func newRelayHost(t *testing.T, listen ...string) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.EnableRelay(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	for _, addr := range listen {
		if err := h.Network().Listen(ma.StringCast(addr)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

const anyPort = "/ip4/127.0.0.1/tcp/0"

func TestARelaysLimitsEndATransferOnlyForAMoment(t *testing.T) {
	dir := newDir(t)
	contents, ids := fillStore(t, dir, 3<<20)
	from, receiver := serveBehindRelay(t, dir, &relay.RelayLimit{Data: 1 << 20, Duration: time.Minute}) // it listens nowhere
	to, m := newDir(t), &meter{}
	f := NewFetcher(receiver, to, FetchOptions{Meter: m, Streams: 1})
	if err := f.Fetch(t.Context(), testRun, ids, from.circuit); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
	from.mu.Lock()
	defer from.mu.Unlock()
	if len(from.relayed) < 3 || m.received.Load() != 3<<20 {
		t.Errorf("%d bytes came over %d circuits", m.received.Load(), len(from.relayed))
	}
}

func TestATransferLeavesTheRelayForADirectPath(t *testing.T) {
	dir := newDir(t)
	contents, ids := fillStore(t, dir, 12<<20)
	from, receiver := serveBehindRelay(t, dir, nil, anyPort)
	to := newDir(t)
	var once sync.Once
	var direct atomic.Bool
	m := &stopAfter{bytes: 2 << 20, stop: func() {
		once.Do(func() { // a hole was punched
			ctx := network.WithForceDirectDial(context.Background(), "test")
			err := receiver.Connect(ctx, peer.AddrInfo{ID: from.host.ID(), Addrs: from.host.Addrs()})
			direct.Store(err == nil)
		})
	}}
	f := NewFetcher(receiver, to, FetchOptions{Meter: m, Streams: 1})
	if err := f.Fetch(t.Context(), testRun, ids, from.circuit); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
	from.mu.Lock()
	defer from.mu.Unlock()
	if !direct.Load() || len(from.relayed) != 2 || !from.relayed[0] || from.relayed[1] {
		t.Errorf("direct connection: %v; streams that were relayed: %v", direct.Load(), from.relayed)
	}
	if m.received.Load() != 12<<20 {
		t.Errorf("%d bytes were received", m.received.Load())
	}
}
