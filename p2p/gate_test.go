package p2p

import (
	"bufio"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	pb "github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
	"google.golang.org/protobuf/encoding/protodelim"
)

func TestRefusedPeerIsToldSoOnEveryTransport(t *testing.T) {
	t.Parallel()
	gate := &members{}
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Role: Hub, Gate: gate, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	eventually(t, hub, "a reservation", func() bool { return len(hub.reservations.circuits()) > 0 })

	for name, target := range map[string]Target{
		"tcp":   {hub.ID(), directTo(hub).Addrs[:1]},
		"quic":  {hub.ID(), directTo(hub).Addrs[1:2]},
		"relay": via(hub, relay),
	} {
		t.Run(name, func(t *testing.T) {
			stranger := newHost(t, Config{})
			err := stranger.Keep(testContext(t), target, echoProtocol, func(context.Context, network.Stream) error {
				t.Error("a stranger was served")
				return nil
			})
			if !errors.Is(err, ErrRefused) {
				t.Errorf("Keep: %v", err)
			}
			if _, err := Join(testContext(t), stranger, target, JoinRequest{Name: "x"}); !errors.Is(err, ErrRefused) {
				t.Errorf("Join: %v", err)
			}
		})
	}
}

func TestStrangerMayOnlyJoin(t *testing.T) {
	gate := &members{ticket: true}
	hub := newHost(t, Config{Role: Hub, Gate: gate, UserAgent: "rhizome/1.2.3"})
	hub.HandleMembers(echoProtocol, echo)
	hub.SetStreamHandler("/test/careless", echo) // a protocol that asks nobody
	ServeJoin(hub, func(context.Context, peer.ID, JoinRequest) (JoinAnswer, error) {
		return JoinAnswer{}, &Refusal{"no"}
	})
	stranger := newHost(t, Config{})
	ctx := testContext(t)
	if err := stranger.Connect(ctx, info(hub)); err != nil {
		t.Fatal(err)
	}
	c := stranger.Network().ConnsToPeer(hub.ID())[0]
	for _, proto := range append(hub.Mux().Protocols(), "/test/unknown") {
		s, err := c.NewStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		err = multistream.SelectProtoOrFail(proto, s)
		s.Reset()
		if may := proto == JoinProtocol || proto == identify.ID; may != (err == nil) {
			t.Errorf("%s: %v", proto, err)
		}
	}
	if _, err := stranger.DialStream(ctx, hub.ID(), echoProtocol); !errors.Is(err, ErrRefused) {
		t.Errorf("a stream of members: %v", err)
	}

	answer := askIdentify(t, ctx, c)
	if len(answer.GetListenAddrs()) > 0 || answer.SignedPeerRecord != nil || answer.GetAgentVersion() != "rhizome" {
		t.Errorf("identify tells a stranger too much: %v", answer)
	}
	if got := answer.GetProtocols(); len(got) != 2 || !slices.Contains(got, string(JoinProtocol)) {
		t.Errorf("identify tells a stranger of %v", got)
	}
}

func askIdentify(t *testing.T, ctx context.Context, c network.Conn) *pb.Identify {
	t.Helper()
	s, err := c.NewStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	if err := multistream.SelectProtoOrFail(protocol.ID(identify.ID), s); err != nil {
		t.Fatal(err)
	}
	var answer pb.Identify
	if err := protodelim.UnmarshalFrom(bufio.NewReader(s), &answer); err != nil {
		t.Fatal(err)
	}
	return &answer
}

func TestIdentifyIsNotPushedToStrangers(t *testing.T) {
	gate := &members{ticket: true}
	hub := newHost(t, Config{Role: Hub, Gate: gate})
	stranger, member := newHost(t, Config{}), newHost(t, Config{})
	gate.add(member.ID())
	ctx := testContext(t)
	for _, h := range []*Host{stranger, member} {
		if err := h.Connect(ctx, info(hub)); err != nil {
			t.Fatal(err)
		}
	}
	hub.SetStreamHandler("/test/new", echo) // identify pushes the change to all
	knows := func(h *Host) bool {
		got, err := h.Peerstore().SupportsProtocols(hub.ID(), "/test/new")
		return err == nil && len(got) > 0
	}
	eventually(t, member, "the member is told", func() bool { return knows(member) })
	// The pushes go out side by side, so the stranger's would be under way: one round trip
	// after the member's, on the stranger's own connection, it would have come.
	if _, err := Join(ctx, stranger, directTo(hub), JoinRequest{}); err == nil {
		t.Error("joined at a host that does not serve it")
	}
	if knows(stranger) {
		t.Error("the stranger was told too")
	}
}

// Whoever was slow to join is not told that it is refused: it would not come again.
func TestStrangerMustGoAfterItsTime(t *testing.T) {
	for name, ticket := range map[string]bool{"that may join": true, "whose ticket has gone": false} {
		t.Run(name, func(t *testing.T) {
			gate := &members{ticket: true}
			hub := newHost(t, Config{Role: Hub, Gate: gate})
			stranger := newHost(t, Config{})
			if err := stranger.Connect(testContext(t), info(hub)); err != nil {
				t.Fatal(err)
			}
			c := stranger.Network().ConnsToPeer(hub.ID())[0]
			eventually(t, hub, "the guest is counted", func() bool { return len(guests(hub)) == 1 })
			gate.mu.Lock()
			gate.ticket = ticket
			gate.mu.Unlock()
			guests(hub)[0].timer.Reset(0) // its time is over
			eventually(t, stranger, "the stranger is put out", c.IsClosed)
			if err := stranger.refusal(c, JoinProtocol, errors.New("put out")); errors.Is(err, ErrRefused) == ticket {
				t.Errorf("what it hears: %v", err)
			}
			eventually(t, hub, "the guest is forgotten", func() bool { return len(guests(hub)) == 0 })
		})
	}
}

func guests(h *Host) (all []*guest) {
	h.lobby.mu.Lock()
	defer h.lobby.mu.Unlock()
	for _, g := range h.lobby.peers {
		all = append(all, g)
	}
	return all
}

func TestStrangerHasFewStreams(t *testing.T) {
	gate := &members{ticket: true}
	hub := newHost(t, Config{Role: Hub, Gate: gate})
	stranger := newHost(t, Config{})
	ctx := testContext(t)
	if err := stranger.Connect(ctx, info(hub)); err != nil {
		t.Fatal(err)
	}
	c := stranger.Network().ConnsToPeer(hub.ID())[0]
	for range 10 * lobbyStreams { // streams that say nothing
		s, err := c.NewStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Reset()
		if _, err := s.Write([]byte{0x13}); err != nil {
			break // reset already
		}
	}
	eventually(t, hub, "the streams are held down", func() bool {
		open := 0
		for _, c := range hub.Network().ConnsToPeer(stranger.ID()) {
			for _, s := range c.GetStreams() {
				if s.Stat().Direction == network.DirInbound {
					open++
				}
			}
		}
		return open == lobbyStreams
	})
}

func TestRevokedMemberIsCutOffAtOnce(t *testing.T) {
	t.Parallel()
	gate := &members{}
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Role: Hub, Gate: gate, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	eventually(t, hub, "a reservation", func() bool { return len(hub.reservations.circuits()) > 0 })
	for name, target := range map[string]Target{"direct": directTo(hub), "relayed": via(hub, relay)} {
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
				if !errors.Is(err, ErrRefused) {
					t.Errorf("Keep: %v", err)
				}
			case <-testContext(t).Done():
				t.Error("Keep goes on")
			}
		})
	}
}

// A connection that the gate let in while the peer was being revoked: Disconnect can not
// see it yet.
func TestRevocationHoldsForConnectionsUnderWay(t *testing.T) {
	gate := &members{}
	hub := newHost(t, Config{Role: Hub, Gate: gate})
	leaf := newHost(t, Config{})
	gate.add(leaf.ID())
	if err := leaf.Connect(testContext(t), info(hub)); err != nil {
		t.Fatal(err)
	}
	eventually(t, hub, "the connection", func() bool { return len(hub.Network().ConnsToPeer(leaf.ID())) > 0 })
	c := hub.Network().ConnsToPeer(leaf.ID())[0]
	gate.revoke(leaf.ID())
	hub.lobby.arrived(c) // what the swarm calls next
	eventually(t, hub, "the connection is closed", c.IsClosed)
}

func TestRelayMayNotUseWhatMembersMay(t *testing.T) {
	gate := &members{}
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Role: Hub, Gate: gate, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	hub.SetStreamHandler("/test/careless", echo)
	eventually(t, hub, "a reservation", func() bool { return len(hub.reservations.circuits()) > 0 })
	ctx := testContext(t)
	c := relay.Network().ConnsToPeer(hub.ID())[0]
	for _, proto := range []protocol.ID{echoProtocol, "/test/careless", JoinProtocol, ping.ID} {
		s, err := c.NewStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		err = multistream.SelectProtoOrFail(proto, s)
		s.Reset()
		if may := proto == ping.ID; may != (err == nil) {
			t.Errorf("%s: %v", proto, err)
		}
	}
	if answer := askIdentify(t, ctx, c); len(answer.GetListenAddrs()) > 0 {
		t.Errorf("the relay is told the hub's addresses: %v", answer)
	}
}

func TestDialBackComesFromWhereWeAsked(t *testing.T) {
	gate := &members{}
	hub := newHost(t, Config{Role: Hub, Gate: gate})
	for addr, may := range map[string]bool{
		"/ip4/127.0.0.1/tcp/1":  false, // private: nobody probes it
		"/ip4/11.0.0.1/tcp/999": false, // public, but we know nobody there
	} {
		c := &inbound{addr: ma.StringCast(addr)}
		if got := hub.mayConnect(c); got != may {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

// inbound is a stranger's connection, for what the gater looks at.
type inbound struct {
	network.Conn
	addr ma.Multiaddr
}

func (c *inbound) RemotePeer() peer.ID           { return "stranger" }
func (c *inbound) RemoteMultiaddr() ma.Multiaddr { return c.addr }
func (c *inbound) Stat() network.ConnStats {
	return network.ConnStats{Stats: network.Stats{Direction: network.DirInbound}}
}
