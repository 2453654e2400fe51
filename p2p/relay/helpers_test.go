package relay

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"
)

// deadline ends a test that waits for what never comes.
const deadline = 20 * time.Second

const echoProtocol = "/test/echo"

// newHost is a plain peer on loopback that echoes what a stream brings.
func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	h.SetStreamHandler(echoProtocol, func(s network.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
	return h
}

// lab is a relay and the peers around it.
type lab struct {
	t     testing.TB
	ctx   context.Context
	host  host.Host
	relay *Relay
}

func newLab(t testing.TB, options Options) *lab {
	t.Helper()
	return newLabOn(t, newHost(t), options)
}

func newLabOn(t testing.TB, h host.Host, options Options) *lab {
	t.Helper()
	r, err := New(h, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return &lab{t: t, ctx: ctx, host: h, relay: r}
}

func (l *lab) info() peer.AddrInfo { return peer.AddrInfo{ID: l.host.ID(), Addrs: l.host.Addrs()} }

// join connects a peer to the relay.
func (l *lab) join(h host.Host) host.Host {
	l.t.Helper()
	if err := h.Connect(l.ctx, l.info()); err != nil {
		l.t.Fatal(err)
	}
	return h
}

func (l *lab) reserve(h host.Host) error {
	_, err := client.Reserve(l.ctx, h, l.info())
	return err
}

func (l *lab) mustReserve(hosts ...host.Host) {
	l.t.Helper()
	for _, h := range hosts {
		if err := l.reserve(h); err != nil {
			l.t.Fatal(err)
		}
	}
}

// circuit opens a relayed connection.
func (l *lab) circuit(src, dst host.Host) error {
	addr := ma.StringCast("/p2p/" + l.host.ID().String() + "/p2p-circuit/p2p/" + dst.ID().String())
	src.Peerstore().AddAddrs(l.host.ID(), l.host.Addrs(), time.Hour)
	src.Peerstore().ClearAddrs(dst.ID()) // or an earlier identify would lead around the relay
	return src.Connect(network.WithAllowLimitedConn(l.ctx, "test"), peer.AddrInfo{ID: dst.ID(), Addrs: []ma.Multiaddr{addr}})
}

// stream opens an echo stream over a new circuit.
func (l *lab) stream(src, dst host.Host) network.Stream {
	l.t.Helper()
	if err := l.circuit(src, dst); err != nil {
		l.t.Fatal(err)
	}
	s, err := src.NewStream(network.WithAllowLimitedConn(l.ctx, "test"), dst.ID(), echoProtocol)
	if err != nil {
		l.t.Fatal(err)
	}
	_ = s.SetDeadline(time.Now().Add(deadline))
	return s
}

// echo sends n bytes there and back.
func echo(s network.Stream, n int) error {
	sent := make(chan error, 1)
	go func() {
		_, err := s.Write(make([]byte, n))
		sent <- err
	}()
	_, err := io.ReadFull(s, make([]byte, n))
	if err != nil {
		_ = s.Reset()
	}
	if serr := <-sent; err == nil {
		err = serr
	}
	return err
}

// vouch has a link vouch for its members until the test ends, and waits until it is so.
func (l *lab) vouch(link host.Host, members ...host.Host) *Members {
	l.t.Helper()
	var ids []peer.ID
	for _, h := range members {
		ids = append(ids, h.ID())
	}
	m := NewMembers("test", ids)
	l.runVouch(link, m)
	return m
}

func (l *lab) runVouch(link host.Host, m *Members) {
	l.t.Helper()
	s, err := link.NewStream(l.ctx, l.host.ID(), VouchProtocol)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.ctx)
	ended := make(chan struct{})
	connected := m.changes()
	go func() {
		defer close(ended)
		_ = m.Vouch(ctx, s)
	}()
	l.t.Cleanup(func() { cancel(); <-ended })
	<-connected // Vouch counts from here on
	if err := m.Sync(l.ctx); err != nil {
		l.t.Fatal(err)
	}
}

func (m *Members) changes() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// lastRefusal asks the relay why.
func (l *lab) lastRefusal(h host.Host) Reason {
	l.t.Helper()
	st, err := Ask(l.ctx, h, l.host.ID())
	if err != nil {
		l.t.Fatal(err)
	}
	if st.Refusal == nil {
		return ""
	}
	if st.Refusal.Detail == "" {
		l.t.Errorf("refusal %s says nothing to people", st.Refusal.Reason)
	}
	return st.Refusal.Reason
}
