package p2p

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

const echoProtocol protocol.ID = "/test/echo"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// members is a gate over a set that tests change.
type members struct {
	mu      sync.Mutex
	listed  map[peer.ID]bool
	ticket  bool // somebody may join
	revoked map[peer.ID]bool
}

func (m *members) Admit(p peer.ID) admission.Standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.revoked[p]:
		return admission.Refused
	case m.listed[p]:
		return admission.Member
	case m.ticket:
		return admission.Joining
	}
	return admission.Refused
}

func (m *members) add(ids ...peer.ID) *members {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listed == nil {
		m.listed = make(map[peer.ID]bool)
	}
	for _, id := range ids {
		m.listed[id] = true
	}
	return m
}

func (m *members) revoke(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoked = map[peer.ID]bool{p: true}
}

var loopback = []ma.Multiaddr{
	ma.StringCast("/ip4/127.0.0.1/tcp/0"),
	ma.StringCast("/ip4/127.0.0.1/udp/0/quic-v1"),
}

func newHost(t testing.TB, cfg Config) *Host {
	t.Helper()
	if cfg.Identity.Key == nil {
		id, err := identity.New()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Identity = id
	}
	if cfg.Listen == nil && !cfg.NoListen {
		cfg.Listen = loopback
	}
	h, err := NewHost(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// newRelay makes a host that serves as a circuit relay: unlimited, or limited if limit is given.
func newRelay(t testing.TB, listen []ma.Multiaddr, limit *relayv2.RelayLimit) *Host {
	t.Helper()
	h := newHost(t, Config{Kind: RelayHost, Overlay: Overlay{Listen: listen}})
	serveRelay(t, h, limit)
	return h
}

func serveRelay(t testing.TB, h *Host, limit *relayv2.RelayLimit) {
	t.Helper()
	resources := relayv2.DefaultResources()
	resources.Limit = limit
	resources.MaxReservationsPerIP, resources.MaxReservations = 1000, 1000
	r, err := relayv2.New(h.Host, relayv2.WithResources(resources))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
}

func info(h *Host) peer.AddrInfo {
	return peer.AddrInfo{ID: h.ID(), Addrs: h.Network().ListenAddresses()}
}

// directTo returns a target with only the addresses that h listens on, without circuits.
func directTo(h *Host) reach.Target {
	var addrs []ma.Multiaddr
	for _, a := range h.Network().ListenAddresses() {
		if !addr.IsCircuit(a) {
			addrs = append(addrs, a)
		}
	}
	return reach.Target{Peer: h.ID(), Addrs: addrs}
}

func relayInfo(h *Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: directTo(h).Addrs} }

// via returns a target that names h through relays only.
func via(h *Host, relays ...*Host) reach.Target {
	t := reach.Target{Peer: h.ID()}
	for _, r := range relays {
		for _, a := range directTo(r).Addrs {
			t.Addrs = append(t.Addrs, addr.Circuit(r.ID(), a))
		}
	}
	return t
}

func echo(s network.Stream) {
	defer s.Close()
	io.Copy(s, s)
}

// hello sends a word over an echo stream and reads it back.
func hello(s network.Stream) error {
	s.SetDeadline(time.Now().Add(5 * time.Second))
	defer s.SetDeadline(time.Time{})
	if _, err := s.Write([]byte("hello")); err != nil {
		return err
	}
	word := make([]byte, 5)
	if _, err := io.ReadFull(s, word); err != nil {
		return err
	}
	if string(word) != "hello" {
		return errors.New("the echo said " + string(word))
	}
	return nil
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until ok holds, and asks it again at each event of the host.
func eventually(t testing.TB, h *Host, what string, ok func() bool) {
	t.Helper()
	events, stop := h.Events()
	defer stop()
	ctx := testContext(t)
	tick := time.NewTicker(20 * time.Millisecond) // for changes that have no event
	defer tick.Stop()
	for !ok() {
		select {
		case <-events:
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("never: ", what)
		}
	}
}

// kept runs Keep in the background. Each stream that works comes out of streams, with the context
// that its serve function was given, and is served until that context ends.
type kept struct {
	streams chan network.Stream
	fail    chan error // makes the running serve function return
	done    chan error
	causes  chan error // why serve contexts ended
	cancel  context.CancelFunc
}

func keepEcho(t testing.TB, h *Host, target reach.Target) *kept {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	k := &kept{
		streams: make(chan network.Stream, 100), fail: make(chan error), done: make(chan error, 1),
		causes: make(chan error, 100), cancel: cancel,
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		k.done <- h.Keep(ctx, target, echoProtocol, func(ctx context.Context, s network.Stream) error {
			if err := hello(s); err != nil {
				return err
			}
			k.streams <- s
			gone := make(chan error, 1)
			go func() { // what a session's reader does
				_, err := s.Read(make([]byte, 1))
				gone <- err
			}()
			select {
			case err := <-k.fail:
				return err
			case err := <-gone:
				return err
			case <-ctx.Done():
				k.causes <- context.Cause(ctx)
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-finished
	})
	return k
}

func (k *kept) next(t testing.TB) network.Stream {
	t.Helper()
	select {
	case s := <-k.streams:
		return s
	case err := <-k.done:
		t.Fatal("Keep returned: ", err)
	case <-testContext(t).Done():
		t.Fatal("no stream")
	}
	return nil
}

// circuitsOf returns the addresses through relays at which a host can be reached.
func circuitsOf(h *Host) []ma.Multiaddr {
	return slices.DeleteFunc(h.Addresses(), func(a ma.Multiaddr) bool { return !addr.IsCircuit(a) })
}

// pathOf returns what a host reports about one of its connections.
func pathOf(h *Host, c network.Conn) reach.Path {
	for _, p := range h.Paths(c.RemotePeer()) {
		if p.Remote.Equal(c.RemoteMultiaddr()) && p.Local.Equal(c.LocalMultiaddr()) {
			return p
		}
	}
	return reach.Path{}
}
