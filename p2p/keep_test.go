package p2p

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

func TestKeepReachesEveryKindOfAddress(t *testing.T) {
	relay := newRelay(t, loopback, nil)
	limited := newRelay(t, loopback, &relayv2.RelayLimit{Duration: time.Minute, Data: 1 << 20})
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay), relayInfo(limited)}}})
	hub.HandleMembers(echoProtocol, echo)
	eventually(t, hub, "two reservations", func() bool { return len(circuitsOf(hub)) >= 4 })
	dead := ma.StringCast("/ip4/127.0.0.1/tcp/1")
	deadRelay := addr.Circuit(newIdentityOf(t).ID, dead)

	for name, tc := range map[string]struct {
		target  reach.Target
		relay   peer.ID
		limited bool
	}{
		"tcp":                            {reach.Target{Peer: hub.ID(), Addrs: directTo(hub).Addrs[:1]}, "", false},
		"quic":                           {reach.Target{Peer: hub.ID(), Addrs: directTo(hub).Addrs[1:2]}, "", false},
		"relay":                          {via(hub, relay), relay.ID(), false},
		"limited relay":                  {via(hub, limited), limited.ID(), true},
		"dead address beside a live one": {reach.Target{Peer: hub.ID(), Addrs: append([]ma.Multiaddr{dead}, directTo(hub).Addrs...)}, "", false},
		"dead relay beside a relay":      {reach.Target{Peer: hub.ID(), Addrs: append([]ma.Multiaddr{deadRelay}, via(hub, relay).Addrs...)}, relay.ID(), false},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := newHost(t, Config{})
			s := keepEcho(t, leaf, tc.target).next(t)
			path := pathOf(leaf, s.Conn())
			if path.Relay != tc.relay || path.Limited != tc.limited {
				t.Errorf("path %+v", path)
			}
			eventually(t, leaf, "a round trip", func() bool { return leaf.Paths(hub.ID())[0].RTT > 0 })
			reach := leaf.Ways(hub.ID())
			if reach.In < 5 || reach.Out < 5 || reach.Paths[0].Security == "" || reach.Paths[0].Transport == "" || reach.Paths[0].Since.IsZero() {
				t.Errorf("reach %+v", reach)
			}
		})
	}
}

func newIdentityOf(t testing.TB) identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestKeepReturnsAfterRestartOfHub kills a SuperLink and brings it back at the same address.
func TestKeepReturnsAfterRestartOfHub(t *testing.T) {
	id := newIdentityOf(t)
	port, err := identity.PickPort()
	if err != nil {
		t.Fatal(err)
	}
	start := func() *Host {
		h, err := NewHost(Config{Kind: Hub, Identity: id, Overlay: Overlay{Port: port}})
		if err != nil {
			t.Fatal(err)
		}
		h.HandleMembers(echoProtocol, echo)
		return h
	}
	hub := start()
	leaf := newHost(t, Config{})
	target := reach.Target{Peer: id.ID, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/" + itoa(port)), ma.StringCast("/ip4/127.0.0.1/udp/" + itoa(port) + "/quic-v1")}}
	k := keepEcho(t, leaf, target)
	k.next(t)
	if err := hub.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, leaf, "a failed attempt", func() bool { return leaf.Ways(id.ID).Failure != nil })
	hub = start()
	defer hub.Close()
	k.next(t)
}

func TestKeepMovesToTheDirectPath(t *testing.T) {
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	eventually(t, hub, "a reservation", func() bool { return len(circuitsOf(hub)) > 0 })
	leaf := newHost(t, Config{})
	k := keepEcho(t, leaf, via(hub, relay))
	relayed := k.next(t)
	if !addr.IsCircuit(relayed.Conn().RemoteMultiaddr()) {
		t.Fatal("not relayed: ", relayed.Conn().RemoteMultiaddr())
	}
	// This is what hole punching ends with.
	ctx := network.WithForceDirectDial(testContext(t), "test")
	if err := leaf.Connect(ctx, peer.AddrInfo{ID: hub.ID(), Addrs: directTo(hub).Addrs}); err != nil {
		t.Fatal(err)
	}
	direct := k.next(t)
	if addr.IsCircuit(direct.Conn().RemoteMultiaddr()) {
		t.Error("still relayed")
	}
	if cause := <-k.causes; !errors.Is(cause, reach.ErrBetterPath) {
		t.Errorf("serve's context ended with %v", cause)
	}
	if relayed.Conn().IsClosed() {
		t.Error("the relayed connection was closed while it was still in use")
	}
	// And back again when the direct path dies: the relayed one is still there.
	direct.Conn().Close()
	if s := k.next(t); !addr.IsCircuit(s.Conn().RemoteMultiaddr()) {
		t.Errorf("fell back to %s", s.Conn().RemoteMultiaddr())
	}
}

func TestKeepEndsWhenItShould(t *testing.T) {
	hub := newHost(t, Config{Kind: Hub})
	hub.HandleMembers(echoProtocol, echo)
	leaf := newHost(t, Config{Gate: &members{}}) // nobody is a member here
	permanent := errors.New("wrong version")
	err := leaf.Keep(testContext(t), directTo(hub), echoProtocol, func(context.Context, network.Stream) error {
		return reach.Permanent(permanent)
	})
	if !errors.Is(err, permanent) {
		t.Errorf("Permanent: %v", err)
	}
	if reach.Permanent(nil) != nil {
		t.Error("reach.Permanent(nil) is an error")
	}

	k := keepEcho(t, leaf, directTo(hub))
	k.next(t)
	k.cancel()
	if err := <-k.done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if leaf.Standing(hub.ID()) != admission.Refused || leaf.admission.Gater().InterceptPeerDial(hub.ID()) {
		t.Error("still a member on this side")
	}

	closing, err := NewHost(Config{Identity: newIdentityOf(t), Overlay: Overlay{Listen: loopback}})
	if err != nil {
		t.Fatal(err)
	}
	k = keepEcho(t, closing, directTo(hub))
	k.next(t)
	if err := closing.Close(); err != nil {
		t.Error(err)
	}
	if err := <-k.done; err == nil {
		t.Error("Keep on a closed host returned no error")
	}
	ctx, cancel := context.WithCancel(testContext(t))
	lost := newHost(t, Config{})
	events, stop := lost.Events()
	defer stop()
	go func() {
		<-events
		cancel()
	}()
	err = lost.Keep(ctx, reach.Target{Peer: hub.ID()}, echoProtocol, nil)
	if f := lost.Ways(hub.ID()).Failure; !errors.Is(err, context.Canceled) || f == nil {
		t.Errorf("without an address: %v, failure %v", err, f)
	}
}

func TestKeepRedialsWhenServeSaysItIsDead(t *testing.T) {
	hub := newHost(t, Config{Kind: Hub})
	hub.HandleMembers(echoProtocol, echo)
	leaf := newHost(t, Config{})
	k := keepEcho(t, leaf, directTo(hub))
	first := k.next(t)
	k.fail <- errors.New("ping not answered")
	second := k.next(t)
	if !first.Conn().IsClosed() || first.Conn() == second.Conn() {
		t.Error("the dead connection lives on")
	}
	if f := leaf.Ways(hub.ID()).Failure; f == nil || f.At.IsZero() {
		t.Error("the failure is not reported")
	}
}

// A serve function that never looks at its context.
func TestKeepStopsADeafServe(t *testing.T) {
	t.Parallel()
	hub := newHost(t, Config{Kind: Hub})
	hub.HandleMembers(echoProtocol, func(s network.Stream) { // never answers
		io.Copy(io.Discard, s)
		s.Close()
	})
	leaf := newHost(t, Config{})
	ctx, cancel := context.WithCancel(testContext(t))
	var read atomic.Bool
	err := leaf.Keep(ctx, directTo(hub), echoProtocol, func(_ context.Context, s network.Stream) error {
		if _, err := s.Write([]byte("x")); err != nil {
			return err
		}
		cancel()
		_, err := s.Read(make([]byte, 1))
		read.Store(true)
		return err
	})
	if !errors.Is(err, context.Canceled) || !read.Load() {
		t.Errorf("%v, read returned: %v", err, read.Load())
	}
}

func TestTwoRelaysTheDeathOfOne(t *testing.T) {
	first, second := newRelay(t, loopback, nil), newRelay(t, loopback, nil)
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{NoListen: true, Relays: []peer.AddrInfo{relayInfo(first), relayInfo(second)}}})
	hub.HandleMembers(echoProtocol, echo)
	eventually(t, hub, "two reservations", func() bool { return len(circuitsOf(hub)) >= 4 })
	leaf := newHost(t, Config{})
	k := keepEcho(t, leaf, via(hub, first, second))
	used := pathOf(leaf, k.next(t).Conn()).Relay
	for _, r := range []*Host{first, second} {
		if r.ID() == used {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if now := pathOf(leaf, k.next(t).Conn()).Relay; now == used || now == "" {
		t.Errorf("first through %s, then through %s", used, now)
	}
}
