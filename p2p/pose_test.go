package p2p

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/multiformats/go-multistream"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// A relay says who is at the other end of a circuit. Its word is worth nothing: the key decides
// who the peer is, and a peer that may only join does not become a member because a relay says so.
func TestRelayCanNotLendAnothersID(t *testing.T) {
	t.Parallel()
	member, poser := newIdentityOf(t), newIdentityOf(t)
	gate := new(members).add(member.ID)
	gate.ticket = true
	relay := newHostile(t, &hostile{carry: lies})
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{NoListen: true, Relays: []peer.AddrInfo{relay.info()}}, Gate: gate})
	eventually(t, hub, "a reservation", func() bool { return len(relaysOf(hub)) == 1 })
	events, stop := hub.Events()
	defer stop()
	for _, with := range []identity.Identity{poser, member} {
		if err := relay.pose(t, hub.ID(), member.ID, with); err != nil {
			t.Fatal(err)
		}
		var opened reach.Event
		for opened.Kind != reach.PathOpened || opened.Path.Relay != relay.host.ID() {
			select {
			case opened = <-events:
			case <-time.After(time.Minute):
				t.Fatal("the circuit does not arrive")
			}
		}
		if opened.Peer != with.ID {
			t.Errorf("%s showed its key, and the hub takes it for %s", with.ID, opened.Peer)
		}
		if got := hub.Standing(opened.Peer); (got == admission.Member) != (with.ID == member.ID) {
			t.Errorf("the standing of %s is %v", with.ID, got)
		}
	}
}

// pose brings the hub a circuit that claims to come from a member, and shakes hands with a key.
func (r *hostile) pose(t *testing.T, hub, member peer.ID, with identity.Identity) error {
	t.Helper()
	s, err := r.stop(member, []byte(hub))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Reset() }) // or the hub may not take note of it
	_ = s.SetDeadline(time.Now().Add(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := multistream.SelectProtoOrFail[protocol.ID](noise.ID, s); err != nil {
		return err
	}
	security, err := noise.New(noise.ID, with.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	secured, err := security.SecureOutbound(ctx, conn{s}, hub)
	if err != nil {
		return err
	}
	return multistream.SelectProtoOrFail[protocol.ID](yamux.ID, secured)
}

// conn makes a stream look like a connection.
type conn struct{ network.Stream }

func (conn) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (conn) RemoteAddr() net.Addr { return &net.TCPAddr{} }
