package p2p

import (
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// Two hosts on one LAN that know of each other only through a relay find the direct path by DCUtR
// over their LAN addresses.
func TestRelayedPathIsPunched(t *testing.T) {
	t.Parallel()
	lan := lanAddresses(t)
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Listen: lan, Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	eventually(t, hub, "a reservation", func() bool { return len(circuitsOf(hub)) > 0 })
	leaf := newHost(t, Config{Overlay: Overlay{Listen: lan}})
	k := keepEcho(t, leaf, via(hub, relay))
	if s := k.next(t); !addr.IsCircuit(s.Conn().RemoteMultiaddr()) {
		t.Skip("direct at once")
	}
	if s := k.next(t); addr.IsCircuit(s.Conn().RemoteMultiaddr()) {
		t.Error("still relayed")
	}
	if cause := <-k.causes; !errors.Is(cause, reach.ErrBetterPath) {
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
