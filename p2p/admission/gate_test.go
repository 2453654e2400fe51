package admission

import (
	"bufio"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
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

func TestStrangerMayOnlyJoin(t *testing.T) {
	gate := &members{ticket: true}
	hub := newGuarded(t, gate, "")
	hub.SetStreamHandler(echoProtocol, hub.ForMembers(echo))
	hub.SetStreamHandler("/test/careless", echo) // a protocol that asks nobody
	hub.SetStreamHandler(JoinProtocol, echo)
	stranger := newStock(t)
	ctx := testContext(t)
	c := connect(t, stranger, hub)
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
	if _, err := stranger.NewStream(ctx, hub.ID(), echoProtocol); !errors.Is(Refusal(stranger.Peerstore(), c, echoProtocol, err), ErrRefused) {
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
	hub := newGuarded(t, gate, "")
	stranger, member := newStock(t), newStock(t)
	gate.add(member.ID())
	connect(t, member, hub)
	c := connect(t, stranger, hub)
	hub.SetStreamHandler("/test/new", echo) // identify pushes the change to all
	knows := func(h host.Host) bool {
		got, err := h.Peerstore().SupportsProtocols(hub.ID(), "/test/new")
		return err == nil && len(got) > 0
	}
	eventually(t, "the member is told", func() bool { return knows(member) })
	// The pushes go out side by side, so a push to the stranger would be under way: one round trip
	// after the member's, on the stranger's own connection, it would have come.
	askIdentify(t, testContext(t), c)
	if knows(stranger) {
		t.Error("the stranger was told too")
	}
}

// A stranger that was slow to join is not told that it is refused: it would not come again.
func TestStrangerMustGoAfterItsTime(t *testing.T) {
	for name, ticket := range map[string]bool{"that may join": true, "whose ticket is gone": false} {
		t.Run(name, func(t *testing.T) {
			gate := &members{ticket: true}
			hub := newGuarded(t, gate, "")
			stranger := newStock(t)
			c := connect(t, stranger, hub)
			eventually(t, "the guest is counted", func() bool { return len(guests(hub)) == 1 })
			gate.mu.Lock()
			gate.ticket = ticket
			gate.mu.Unlock()
			guests(hub)[0].timer.Reset(0) // its time is over
			eventually(t, "the stranger is put out", c.IsClosed)
			if err := Refusal(stranger.Peerstore(), c, JoinProtocol, errors.New("put out")); errors.Is(err, ErrRefused) == ticket {
				t.Errorf("what it hears: %v", err)
			}
			eventually(t, "the guest is forgotten", func() bool { return len(guests(hub)) == 0 })
		})
	}
}

func guests(h *guarded) (all []*guest) {
	h.lobby.guests.mu.Lock()
	defer h.lobby.guests.mu.Unlock()
	for _, g := range h.lobby.guests.guests {
		all = append(all, g)
	}
	return all
}

func TestStrangerHasFewStreams(t *testing.T) {
	gate := &members{ticket: true}
	hub := newGuarded(t, gate, "")
	stranger := newStock(t)
	ctx := testContext(t)
	c := connect(t, stranger, hub)
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
	eventually(t, "the streams are held down", func() bool {
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

// The gate let a connection in while the peer was being revoked: Disconnect cannot see it yet.
func TestRevocationHoldsForConnectionsUnderWay(t *testing.T) {
	gate := &members{}
	hub := newGuarded(t, gate, "")
	leaf := newStock(t)
	gate.add(leaf.ID())
	connect(t, leaf, hub)
	eventually(t, "the connection", func() bool { return len(hub.Network().ConnsToPeer(leaf.ID())) > 0 })
	c := hub.Network().ConnsToPeer(leaf.ID())[0]
	gate.revoke(leaf.ID())
	hub.lobby.arrived(c) // what the swarm calls next
	eventually(t, "the connection is closed", c.IsClosed)
}

func TestRelayMayNotUseWhatMembersMay(t *testing.T) {
	stock := newStock(t)
	hub := newGuarded(t, &members{}, relay(stock.ID()))
	hub.SetStreamHandler(echoProtocol, hub.ForMembers(echo))
	hub.SetStreamHandler("/test/careless", echo)
	connect(t, hub, stock)
	eventually(t, "the relay sees the connection", func() bool { return len(stock.Network().ConnsToPeer(hub.ID())) > 0 })
	ctx := testContext(t)
	c := stock.Network().ConnsToPeer(hub.ID())[0]
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
	hub := newGuarded(t, gate, "")
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

// inbound is a stranger's connection, as far as the gater looks at it.
type inbound struct {
	network.Conn
	addr ma.Multiaddr
}

func (c *inbound) RemotePeer() peer.ID           { return "stranger" }
func (c *inbound) RemoteMultiaddr() ma.Multiaddr { return c.addr }
func (c *inbound) Stat() network.ConnStats {
	return network.ConnStats{Stats: network.Stats{Direction: network.DirInbound}}
}

// Strangers cannot make a host dial anybody, whereas relays are dialled.
func TestStrangersAreNotDialled(t *testing.T) {
	gate := &members{ticket: true}
	hub := newGuarded(t, gate, "its relay")
	gater := hub.Gater()
	if gater.InterceptPeerDial("stranger") || !gater.InterceptPeerDial("its relay") {
		t.Error("a stranger is dialled, or a relay is not")
	}
	gate.add("stranger")
	if !gater.InterceptPeerDial("stranger") {
		t.Error("a member is not dialled")
	}
}
