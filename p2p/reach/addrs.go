package reach

import (
	"cmp"
	"net"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// Addresses returns the addresses that a ticket should name, best first: those that can be reached
// from anywhere, circuits through relays that hold a reservation now, and those on the LAN;
// loopback only if there is nothing else. They change with reachability; see [Manager.Events].
func (m *Manager) Addresses() []ma.Multiaddr {
	var addrs []ma.Multiaddr
	for _, a := range m.directAddrs() {
		if !manet.IsIPUnspecified(a) {
			addrs = append(addrs, a)
		}
	}
	addrs = ma.Unique(append(addrs, m.reservations.circuits()...))
	slices.SortStableFunc(addrs, func(a, b ma.Multiaddr) int { return cmp.Compare(rank(a), rank(b)) })
	if i := slices.IndexFunc(addrs, func(a ma.Multiaddr) bool { return rank(a) == rankLoopback }); i > 0 {
		addrs = addrs[:i]
	}
	return addrs[:min(len(addrs), maxTicketAddresses)]
}

// directAddrs returns the announced addresses if there are any, otherwise those that the host
// listens on, as seen here and as observed by others.
func (m *Manager) directAddrs() []ma.Multiaddr {
	if len(m.announce) > 0 {
		return slices.Clone(m.announce)
	}
	if all, ok := m.host.(interface{ AllAddrs() []ma.Multiaddr }); ok {
		return slices.DeleteFunc(all.AllAddrs(), addr.IsCircuit)
	}
	return slices.DeleteFunc(m.host.Addrs(), addr.IsCircuit)
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

// confirmer knows which addresses of a host AutoNAT has confirmed. libp2p's hosts implement it.
type confirmer interface {
	ConfirmedAddrs() (reachable, unreachable, unknown []ma.Multiaddr)
}

// Tell chooses, from the addresses that libp2p found, those that members are told.
//
// A reticent host keeps to itself public addresses that AutoNAT has not confirmed: a peer that is
// told one dials it first and punches a hole only when that has failed, 3 s later. Punching itself
// offers them anyway (punch.go). A hub has to be found, so it is not reticent.
func (m *Manager) Tell(found []ma.Multiaddr) []ma.Multiaddr {
	told := slices.Clone(m.announce)
	var reachable []ma.Multiaddr
	if confirmer := m.confirmer.Load(); confirmer != nil {
		reachable, _, _ = (*confirmer).ConfirmedAddrs()
	}
	for _, a := range found {
		switch {
		case addr.IsCircuit(a):
		case len(m.announce) > 0:
			continue
		case m.reticent && manet.IsPublicAddr(a) && !ma.Contains(reachable, a):
			continue
		}
		told = append(told, a)
	}
	return told
}

// interfaceAddrs returns the addresses of this machine, which show whether it was carried to
// another network; empty if they cannot be read.
func interfaceAddrs() (all []string) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		log.Debug("could not read the addresses of this machine", "err", err)
	}
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return all
}
