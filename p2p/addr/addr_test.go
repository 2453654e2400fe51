package addr

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

const relayID = "12D3KooWGzBXWNvHpLALvNVzpSTVkuUcHZXhCx6cQGmLnmHvbSu8"

func TestAddressesAreTakenApart(t *testing.T) {
	relay, err := peer.Decode(relayID)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		addr         string
		circuit, udp bool
		relay        peer.ID
		transport    string
	}{
		{addr: "/ip4/192.0.2.1/tcp/1", transport: "tcp"},
		{addr: "/ip4/192.0.2.1/udp/1/quic-v1", udp: true, transport: "quic-v1"},
		{addr: "/ip4/192.0.2.1/tcp/1/tls/ws", transport: "websocket"},
		{addr: "/dns4/relay.example/tcp/1/wss", transport: "websocket"},
		{addr: "/ip4/192.0.2.1/tcp/1/p2p/" + relayID + "/p2p-circuit", circuit: true, relay: relay, transport: "tcp"},
		{addr: "/ip4/192.0.2.1/udp/1/quic-v1/p2p/" + relayID + "/p2p-circuit", circuit: true, udp: true, relay: relay, transport: "quic-v1"},
		{addr: "/ip4/192.0.2.1/tcp/1/p2p-circuit", circuit: true, transport: "tcp"}, // the relay is not named
		{addr: "/p2p-circuit", circuit: true},
	} {
		a := ma.StringCast(test.addr)
		info, ok := SplitCircuit(a)
		if IsCircuit(a) != test.circuit || IsUDP(a) != test.udp || info.ID != test.relay || ok != (test.relay != "") || Transport(a) != test.transport {
			t.Errorf("%s: circuit %v, UDP %v, relay %v, transport %q", a, IsCircuit(a), IsUDP(a), info, Transport(a))
		}
		if ok && (len(info.Addrs) != 1 || !Circuit(info.ID, info.Addrs[0]).Equal(a)) {
			t.Errorf("%s: taken apart and put together again, it differs", a)
		}
	}
}

func TestPeersAreMergedInOrder(t *testing.T) {
	first, second := ma.StringCast("/ip4/192.0.2.1/tcp/1"), ma.StringCast("/ip4/192.0.2.2/tcp/1")
	merged := MergePeers([]peer.AddrInfo{
		{ID: "b", Addrs: []ma.Multiaddr{second}}, {ID: "a", Addrs: []ma.Multiaddr{first}}, {ID: "b", Addrs: []ma.Multiaddr{second, first}},
	})
	if len(merged) != 2 || merged[0].ID != "b" || merged[1].ID != "a" {
		t.Fatalf("merged: %v", merged)
	}
	if addrs := merged[0].Addrs; len(addrs) != 2 || !addrs[0].Equal(second) || !addrs[1].Equal(first) {
		t.Errorf("addresses: %v", addrs)
	}
}
