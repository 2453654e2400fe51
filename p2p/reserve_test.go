package p2p

import (
	"strconv"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/identity"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestHubReservesOverTCPOnly(t *testing.T) {
	relay := newRelay(t, loopback, nil)
	quicOnly := newRelay(t, loopback[1:], nil)
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay), relayInfo(quicOnly)}}})
	eventually(t, hub, "both reservations", func() bool {
		return len(hub.Paths(relay.ID())) > 0 && len(hub.Paths(quicOnly.ID())) > 0 && len(circuitsOf(hub)) >= 3
	})
	if got := hub.Paths(relay.ID())[0].Transport; got != "tcp" {
		t.Errorf("reserved over %s", got)
	}
	if got := hub.Paths(quicOnly.ID())[0].Transport; got != "quic-v1" {
		t.Errorf("at a relay that only has QUIC, over %s", got)
	}
}

// The addresses of a ticket include circuits while there are reservations, and changes to them are
// announced.
func TestAddressesFollowReservations(t *testing.T) {
	id := newIdentityOf(t)
	port, err := identity.PickPort()
	if err != nil {
		t.Fatal(err)
	}
	start := func() *Host {
		h, err := NewHost(Config{Kind: RelayHost, Identity: id, Overlay: Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/" + itoa(port))}}})
		if err != nil {
			t.Fatal(err)
		}
		serveRelay(t, h, nil)
		return h
	}
	relay := start()
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	want := addr.Circuit(id.ID, ma.StringCast("/ip4/127.0.0.1/tcp/"+itoa(port)))
	told := func() bool {
		for _, a := range hub.Addresses() {
			if a.Equal(want) {
				return true
			}
		}
		return false
	}
	eventually(t, hub, "the circuit is announced", told)
	eventually(t, hub, "members are told by identify", func() bool {
		for _, a := range hub.Addrs() {
			if a.Equal(want) {
				return true
			}
		}
		return false
	})
	if err := relay.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, hub, "the circuit is no longer announced", func() bool { return !told() })
	if hub.Ways(id.ID).Failure == nil {
		t.Error("nothing says why")
	}
	relay = start()
	defer relay.Close()
	eventually(t, hub, "the circuit is announced again", told)
}

func TestReservationIsTriedAgainAfterARefusal(t *testing.T) {
	relay := newHost(t, Config{Kind: RelayHost})
	full := relayv2.DefaultResources()
	full.MaxReservations = 0
	service, err := relayv2.New(relay.Host, relayv2.WithResources(full))
	if err != nil {
		t.Fatal(err)
	}
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	eventually(t, hub, "a refusal", func() bool { return hub.Ways(relay.ID()).Failure != nil })
	t.Log(hub.Ways(relay.ID()).Failure.Err)
	service.Close()
	serveRelay(t, relay, nil)
	eventually(t, hub, "a reservation", func() bool { return len(circuitsOf(hub)) > 0 })
}

func TestPortTakenIsAClearError(t *testing.T) {
	first := newHost(t, Config{Overlay: Overlay{Listen: loopback[:1]}})
	_, err := NewHost(Config{Identity: newIdentityOf(t), Overlay: Overlay{Listen: []ma.Multiaddr{directTo(first).Addrs[0]}}})
	if err == nil {
		t.Fatal("two hosts share one port")
	}
	t.Log(err)
	if _, err := NewHost(Config{}); err == nil {
		t.Error("a host without identity")
	}
	if first.Network().Connectedness(first.ID()) == network.Connected {
		t.Error("connected to itself")
	}
}
