package p2p

import (
	"cmp"
	"net"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
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
		return slices.DeleteFunc(all.AllAddrs(), addr.IsCircuit)
	}
	return slices.DeleteFunc(h.Addrs(), addr.IsCircuit)
}

const (
	rankPublic = iota
	rankCircuit
	rankPrivate
	rankLoopback
)

func rank(a ma.Multiaddr) int {
	switch {
	case addr.IsCircuit(a):
		return rankCircuit
	case manet.IsIPLoopback(a):
		return rankLoopback
	case manet.IsPrivateAddr(a):
		return rankPrivate
	}
	return rankPublic
}

// interfaceAddrs are the addresses of this machine, to see whether it was carried to another
// network; empty if they can not be told.
func interfaceAddrs() (all []string) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		log.Debug("addresses of this machine", "err", err)
	}
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return all
}
