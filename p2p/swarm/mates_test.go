package swarm

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func TestNodesHaveAFewNeighboursWhoeverComesAndGoes(t *testing.T) {
	p := newPlay(t)
	rng := rand.New(rand.NewPCG(1, 2))
	model := p.tree("model", 1)
	told := make(map[peer.ID][]peer.ID)
	var live []peer.ID
	hear := func() {
		for _, id := range live {
			for _, news := range p.hub.Take(id) {
				if news.Peers == nil {
					continue
				}
				told[id] = nil
				for _, near := range news.Peers {
					told[id] = append(told[id], near.Peer)
				}
			}
		}
	}
	for step := range 400 {
		if len(live) == 0 || rng.IntN(5) > 1 {
			id := peer.ID(fmt.Sprint("node", step))
			live = append(live, id)
			p.hub.Offer(testRun, id, model)
		} else {
			i := rng.IntN(len(live))
			p.hub.Leave(live[i])
			delete(told, live[i])
			live = slices.Delete(live, i, i+1)
		}
		hear()
		for _, id := range live {
			if least, n := min(wishedNeighbours/2, len(live)-1), len(told[id]); n < least || n > maxNeighbours {
				t.Fatalf("step %d: %d nodes, and %s is told of %d", step, len(live), id, n)
			}
			for _, near := range told[id] {
				if !slices.Contains(told[near], id) {
					t.Fatalf("step %d: %s is told of %s, but not the other way round", step, id, near)
				}
			}
		}
	}
	reached := map[peer.ID]bool{live[0]: true}
	for todo := []peer.ID{live[0]}; len(todo) > 0; todo = todo[1:] {
		for _, near := range told[todo[0]] {
			if !reached[near] {
				reached[near] = true
				todo = append(todo, near)
			}
		}
	}
	if len(reached) != len(live) {
		t.Errorf("%d of %d nodes are reached", len(reached), len(live))
	}
}

func TestAddressesAreShownToWhomTheyAreOfUse(t *testing.T) {
	addrs := func(texts ...string) (list []ma.Multiaddr) {
		for _, text := range texts {
			ip := netip.MustParseAddr(text)
			family := "/ip4/"
			if ip.Is6() {
				family = "/ip6/"
			}
			list = append(list, ma.StringCast(family+text+"/tcp/4001"))
		}
		return list
	}
	const clinic, bank, lan, host = "8.8.4.4", "9.9.9.9", "192.168.1.10", "127.0.0.1"
	for name, tt := range map[string]struct {
		of, to Seen
		want   []ma.Multiaddr
	}{
		"of the internet":           {Seen{addrs(clinic), addrs(clinic, lan, host)}, Seen{addrs(bank), nil}, addrs(clinic)},
		"behind one address":        {Seen{addrs(clinic), addrs(lan, host)}, Seen{addrs(clinic), addrs(lan)}, addrs(clinic, lan)},
		"in the link's LAN":         {Seen{addrs(lan), addrs(lan, host)}, Seen{addrs("10.0.0.7"), nil}, addrs(lan)},
		"one of them is in the LAN": {Seen{addrs(lan), addrs(lan, host)}, Seen{addrs(bank), nil}, nil},
		"on the link's machine":     {Seen{addrs(host), addrs(host, lan)}, Seen{addrs(host), nil}, addrs(host, lan)},
		"does not listen":           {Seen{addrs(clinic), nil}, Seen{addrs(clinic), nil}, nil},
		"through a relay only":      {Seen{nil, addrs(lan, "8.8.8.8")}, Seen{nil, nil}, addrs("8.8.8.8")},
		"of no use to anybody":      {Seen{addrs(host), addrs("0.0.0.0", "fe80::1", "224.0.0.1", host)}, Seen{addrs(host), nil}, addrs(host)},
	} {
		if got := tt.of.shownTo(tt.to); !slices.EqualFunc(got, tt.want, func(a, b ma.Multiaddr) bool { return a.Equal(b) }) {
			t.Errorf("%s: %v are shown, want %v", name, got, tt.want)
		}
	}
	circuit := Seen{nil, []ma.Multiaddr{ma.StringCast("/ip4/8.8.8.8/tcp/1/p2p-circuit")}}
	if got := circuit.shownTo(circuit); got != nil {
		t.Errorf("a way through a relay is shown: %v", got)
	}
}
