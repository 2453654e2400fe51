// Package addr reads the addresses of the overlay: which of them go through a relay, which use
// UDP, and which peer they belong to.
//
// A circuit is an address through a relay, /<relay's address>/p2p/<relay>/p2p-circuit.
//
// The package knows no host and no connections but those it is shown, so that every room of
// the overlay, a link and a doctor read addresses in the same way. It is not responsible for which
// address is better (package reach) or for resolving names.
package addr

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// IsCircuit reports whether an address goes through a relay.
func IsCircuit(a ma.Multiaddr) bool { return has(a, ma.P_CIRCUIT) }

// IsUDP reports whether the first hop of an address uses UDP.
func IsUDP(a ma.Multiaddr) bool { return has(a, ma.P_UDP) }

func has(a ma.Multiaddr, code int) bool {
	_, err := a.ValueForProtocol(code)
	return err == nil
}

// Connection is all that is needed of a connection.
type Connection interface{ RemoteMultiaddr() ma.Multiaddr }

// Relayed reports whether a connection runs through a relay.
func Relayed(c Connection) bool { return IsCircuit(c.RemoteMultiaddr()) }

// RelayOf names the relay that a connection runs through; empty means that it is direct.
func RelayOf(c Connection) peer.ID {
	relay, _ := SplitCircuit(c.RemoteMultiaddr())
	return relay.ID
}

// SplitCircuit splits the relay off an address through one. ok is false for other addresses, and
// for circuits that name no relay.
func SplitCircuit(a ma.Multiaddr) (relay peer.AddrInfo, ok bool) {
	head, ok := Hop(a)
	if !ok {
		return peer.AddrInfo{}, false
	}
	info, err := peer.AddrInfoFromP2pAddr(head)
	if err != nil {
		return peer.AddrInfo{}, false
	}
	return *info, true
}

// Hop returns the address of the relay in an address through one, with the relay's peer id if it
// is named.
func Hop(a ma.Multiaddr) (relay ma.Multiaddr, ok bool) {
	relay, circuit := ma.SplitFunc(a, func(c ma.Component) bool { return c.Protocol().Code == ma.P_CIRCUIT })
	return relay, relay != nil && circuit != nil
}

var circuitSuffix = ma.StringCast("/p2p-circuit")

// Circuit makes the address of a peer that holds a reservation at a relay; at is an address of the
// relay.
func Circuit(relay peer.ID, at ma.Multiaddr) ma.Multiaddr {
	return at.Encapsulate(ma.StringCast("/p2p/" + relay.String())).Encapsulate(circuitSuffix)
}

// Transport names the transport of the first hop of an address: tcp, quic-v1 or websocket;
// empty if it is none of them.
func Transport(a ma.Multiaddr) string {
	for _, known := range []struct {
		code int
		name string
	}{{ma.P_QUIC_V1, "quic-v1"}, {ma.P_WS, "websocket"}, {ma.P_WSS, "websocket"}, {ma.P_TCP, "tcp"}} {
		if has(a, known.code) {
			return known.name
		}
	}
	return ""
}

// MergePeers joins the addresses of each peer, in the order of first appearance, since lists of
// relays put the preferred one first. (libp2p's AddrInfosFromP2pAddrs shuffles them.)
func MergePeers(infos []peer.AddrInfo) []peer.AddrInfo {
	var merged []peer.AddrInfo
	for _, info := range infos {
		i := slices.IndexFunc(merged, func(m peer.AddrInfo) bool { return m.ID == info.ID })
		if i < 0 {
			i = len(merged)
			merged = append(merged, peer.AddrInfo{ID: info.ID})
		}
		merged[i].Addrs = Distinct(slices.Concat(merged[i].Addrs, info.Addrs))
	}
	return merged
}

// Distinct drops repetitions and keeps the order, which ma.Unique does not.
func Distinct(addrs []ma.Multiaddr) []ma.Multiaddr {
	var kept []ma.Multiaddr
	for _, a := range addrs {
		if !ma.Contains(kept, a) {
			kept = append(kept, a)
		}
	}
	return kept
}
