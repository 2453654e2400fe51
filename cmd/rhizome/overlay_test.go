package main

import (
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
)

func TestPeersKeepTheirOrder(t *testing.T) {
	var texts []string
	var want []peer.ID
	for range 10 {
		want = append(want, test.RandPeerIDFatal(t))
	}
	for _, at := range []string{"/ip4/192.0.2.1/tcp/443", "/ip4/192.0.2.1/udp/443/quic-v1", "/ip4/192.0.2.1/tcp/443"} {
		for _, id := range want {
			texts = append(texts, at+"/p2p/"+id.String())
		}
	}
	peers, err := parsePeers("--relay", texts)
	if err != nil {
		t.Fatal(err)
	}
	var got []peer.ID
	for _, info := range peers {
		got = append(got, info.ID)
		if len(info.Addrs) != 2 {
			t.Errorf("%s has the addresses %v", info.ID, info.Addrs)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the peers are in the order %v, want %v", got, want)
	}
}
