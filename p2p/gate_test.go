package p2p

import (
	"context"
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

func TestRefusedPeerIsToldSoOnEveryTransport(t *testing.T) {
	t.Parallel()
	gate := &members{}
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Kind: Hub, Gate: gate, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	eventually(t, hub, "a reservation", func() bool { return len(circuitsOf(hub)) > 0 })

	for name, target := range map[string]reach.Target{
		"tcp":   {Peer: hub.ID(), Addrs: directTo(hub).Addrs[:1]},
		"quic":  {Peer: hub.ID(), Addrs: directTo(hub).Addrs[1:2]},
		"relay": via(hub, relay),
	} {
		t.Run(name, func(t *testing.T) {
			stranger := newHost(t, Config{})
			err := stranger.Keep(testContext(t), target, echoProtocol, func(context.Context, network.Stream) error {
				t.Error("a stranger was served")
				return nil
			})
			if !errors.Is(err, admission.ErrRefused) {
				t.Errorf("Keep: %v", err)
			}
			if _, err := join.Ask(testContext(t), stranger, target, join.Request{Name: "x"}); !errors.Is(err, admission.ErrRefused) {
				t.Errorf("Join: %v", err)
			}
		})
	}
}

func TestRevokedMemberIsCutOffAtOnce(t *testing.T) {
	t.Parallel()
	gate := &members{}
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Kind: Hub, Gate: gate, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	eventually(t, hub, "a reservation", func() bool { return len(circuitsOf(hub)) > 0 })
	for name, target := range map[string]reach.Target{"direct": directTo(hub), "relayed": via(hub, relay)} {
		t.Run(name, func(t *testing.T) {
			leaf := newHost(t, Config{})
			gate.add(leaf.ID())
			k := keepEcho(t, leaf, target)
			s := k.next(t)
			gate.revoke(leaf.ID())
			hub.Disconnect(leaf.ID())
			eventually(t, leaf, "the connection ends", s.Conn().IsClosed)
			select {
			case err := <-k.done:
				if !errors.Is(err, admission.ErrRefused) {
					t.Errorf("Keep: %v", err)
				}
			case <-testContext(t).Done():
				t.Error("Keep carries on")
			}
		})
	}
}
