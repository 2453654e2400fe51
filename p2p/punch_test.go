package p2p

import (
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/identity"
)

// Two hosts of one LAN that know of each other only through a relay find the direct path
// by DCUtR over their LAN addresses.
func TestRelayedPathIsPunched(t *testing.T) {
	t.Parallel()
	lan := lanAddresses(t)
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Role: Hub, Overlay: Overlay{Listen: lan, Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	eventually(t, hub, "a reservation", func() bool { return len(hub.reservations.circuits()) > 0 })
	leaf := newHost(t, Config{Overlay: Overlay{Listen: lan}})
	k := keepEcho(t, leaf, via(hub, relay))
	if s := k.next(t); !addr.IsCircuit(s.Conn().RemoteMultiaddr()) {
		t.Skip("direct at once")
	}
	if s := k.next(t); addr.IsCircuit(s.Conn().RemoteMultiaddr()) {
		t.Error("still relayed")
	}
	if cause := <-k.causes; !errors.Is(cause, ErrBetterPath) {
		t.Error(cause)
	}
	if paths := leaf.Paths(hub.ID()); !paths[0].Direct() {
		t.Errorf("paths %+v", paths)
	}
}

func lanAddresses(t *testing.T) (addrs []ma.Multiaddr) {
	t.Helper()
	ifs, err := manet.InterfaceMultiaddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range ifs {
		if _, err := a.ValueForProtocol(ma.P_IP4); err == nil && !manet.IsIPLoopback(a) {
			return []ma.Multiaddr{a.Encapsulate(ma.StringCast("/tcp/0")), a.Encapsulate(ma.StringCast("/udp/0/quic-v1"))}
		}
	}
	t.Skip("this machine has no address but loopback")
	return nil
}

// Strangers are not told where a hub is, and cannot make it dial anybody.
func TestStrangersAreNotPunched(t *testing.T) {
	gate := &members{ticket: true}
	hub := newHost(t, Config{Role: Hub, Gate: gate})
	stranger := newIdentityOf(t).ID
	offer := []ma.Multiaddr{ma.StringCast("/ip4/192.168.1.7/tcp/4001")}
	g := hub.admission.Gater()
	if hub.puncher.FilterLocal(stranger, offer) != nil || hub.puncher.FilterRemote(stranger, offer) != nil || g.InterceptPeerDial(stranger) {
		t.Error("a stranger is told, or dialled")
	}
	gate.add(stranger)
	if hub.puncher.FilterLocal(stranger, offer) == nil || hub.puncher.FilterRemote(stranger, offer) == nil || !g.InterceptPeerDial(stranger) {
		t.Error("a member is not")
	}
}

func TestGuessOfTheUDPAddress(t *testing.T) {
	port, err := identity.PickPort()
	if err != nil {
		t.Fatal(err)
	}
	hub := newHost(t, Config{Role: Hub, Overlay: Overlay{Port: port, Listen: []ma.Multiaddr{}}})
	for observed, want := range map[string]string{
		"/ip4/11.0.0.1/tcp/" + itoa(port):    "/ip4/11.0.0.1/udp/" + itoa(port) + "/quic-v1",
		"/ip4/11.0.0.1/tcp/1":                "", // the NAT changed the port: who knows
		"/ip4/192.168.0.1/tcp/" + itoa(port): "", // known without guessing
	} {
		got := hub.puncher.guessUDP(ma.StringCast(observed))
		if (got == nil) != (want == "") || got != nil && got.String() != want {
			t.Errorf("%s: %v", observed, got)
		}
	}
}
