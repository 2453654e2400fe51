package p2p

import (
	"cmp"
	"net"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Target is a peer and the addresses that it may be at, direct and through relays.
type Target struct {
	Peer  peer.ID
	Addrs []ma.Multiaddr // without the final /p2p/
}

// Addresses gives the addresses that a ticket should name, best first: those that others can
// reach from anywhere, circuits through relays that hold a reservation now, and those of the LAN;
// loopback only if there is nothing else. They change with reachability; see [Host.Events].
func (h *Host) Addresses() []ma.Multiaddr {
	var addrs []ma.Multiaddr
	for _, a := range h.directAddrs() {
		if !manet.IsIPUnspecified(a) {
			addrs = append(addrs, a)
		}
	}
	addrs = ma.Unique(append(addrs, h.reservations.circuits()...))
	slices.SortStableFunc(addrs, func(a, b ma.Multiaddr) int { return cmp.Compare(rank(a), rank(b)) })
	if i := slices.IndexFunc(addrs, func(a ma.Multiaddr) bool { return rank(a) == rankLoopback }); i > 0 {
		addrs = addrs[:i]
	}
	return addrs[:min(len(addrs), maxTicketAddresses)]
}

// directAddrs gives the announced addresses if there are any, else those that the host is
// listening at, as seen here and as observed by others.
func (h *Host) directAddrs() []ma.Multiaddr {
	if len(h.announce) > 0 {
		return slices.Clone(h.announce)
	}
	if all, ok := h.Host.(interface{ AllAddrs() []ma.Multiaddr }); ok {
		return slices.DeleteFunc(all.AllAddrs(), isCircuit)
	}
	return slices.DeleteFunc(h.Addrs(), isCircuit)
}

const (
	rankPublic = iota
	rankCircuit
	rankPrivate
	rankLoopback
)

func rank(a ma.Multiaddr) int {
	switch {
	case isCircuit(a):
		return rankCircuit
	case manet.IsIPLoopback(a):
		return rankLoopback
	case manet.IsPrivateAddr(a):
		return rankPrivate
	}
	return rankPublic
}

var circuitSuffix = ma.StringCast("/p2p-circuit")

func isCircuit(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

// isCircuitConn tells whether a connection runs through a relay, secured or not yet.
func isCircuitConn(c net.Conn) bool {
	return c.RemoteAddr().Network() == (&circuit.NetAddr{}).Network()
}

func isUDP(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_UDP)
	return err == nil
}

// splitCircuit takes the relay out of an address through one.
func splitCircuit(a ma.Multiaddr) (relay peer.AddrInfo, rest ma.Multiaddr, ok bool) {
	if !isCircuit(a) {
		return peer.AddrInfo{}, nil, false
	}
	head, rest := ma.SplitFunc(a, func(c ma.Component) bool { return c.Protocol().Code == ma.P_CIRCUIT })
	if head == nil {
		return peer.AddrInfo{}, nil, false
	}
	info, err := peer.AddrInfoFromP2pAddr(head)
	if err != nil {
		return peer.AddrInfo{}, nil, false
	}
	return *info, rest, true
}

// circuitVia makes the address of whoever holds a reservation at relay.
func circuitVia(relay peer.ID, addr ma.Multiaddr) ma.Multiaddr {
	return addr.Encapsulate(ma.StringCast("/p2p/" + relay.String())).Encapsulate(circuitSuffix)
}

// interfaceAddrs are the addresses of this machine, to see whether it was carried to another
// network; empty if they can not be told.
func interfaceAddrs() (all []string) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		log.Debugw("addresses of this machine", "err", err)
	}
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return all
}

// MergePeers joins the addresses of each peer, in the order of first appearance: who lists
// relays puts the preferred one first. (libp2p's AddrInfosFromP2pAddrs shuffles them.)
func MergePeers(infos []peer.AddrInfo) []peer.AddrInfo {
	var merged []peer.AddrInfo
	for _, info := range infos {
		i := slices.IndexFunc(merged, func(m peer.AddrInfo) bool { return m.ID == info.ID })
		if i < 0 {
			i = len(merged)
			merged = append(merged, peer.AddrInfo{ID: info.ID})
		}
		merged[i].Addrs = DistinctAddrs(slices.Concat(merged[i].Addrs, info.Addrs))
	}
	return merged
}

// DistinctAddrs drops repetitions and keeps the order, which ma.Unique does not.
func DistinctAddrs(addrs []ma.Multiaddr) []ma.Multiaddr {
	var kept []ma.Multiaddr
	for _, a := range addrs {
		if !ma.Contains(kept, a) {
			kept = append(kept, a)
		}
	}
	return kept
}
