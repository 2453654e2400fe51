package swarm

import (
	"net"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// Seen is what the link knows of where a node is.
type Seen struct {
	// From are the far ends of the node's direct connections to the link.
	From []ma.Multiaddr
	// Listens are the addresses that the node says it listens at.
	Listens []ma.Multiaddr
}

// shownTo picks the addresses of a node that another is told: public ones; those of a LAN only
// to who is seen from the same address, or in a LAN with the link as well; loopback only on
// one machine. A node that does not listen has none.
func (s Seen) shownTo(to Seen) (addrs []ma.Multiaddr) {
	if len(s.Listens) == 0 {
		return nil
	}
	near := s.near(to)
	for _, a := range append(slices.Clone(s.From), s.Listens...) {
		ip, err := manet.ToIP(a)
		if err != nil || addr.IsCircuit(a) {
			continue
		}
		var shown bool
		switch {
		case ip.IsUnspecified(), ip.IsLinkLocalUnicast(), ip.IsMulticast():
		case ip.IsLoopback():
			shown = s.from(net.IP.IsLoopback) && to.from(net.IP.IsLoopback)
		case manet.IsPublicAddr(a):
			shown = true
		default:
			shown = near
		}
		if shown && !slices.ContainsFunc(addrs, a.Equal) {
			addrs = append(addrs, a)
		}
	}
	return addrs[:min(len(addrs), maxAddresses)]
}

// near reports whether two nodes may be in one LAN.
func (s Seen) near(to Seen) bool {
	local := func(ip net.IP) bool { return ip.IsPrivate() || ip.IsLoopback() }
	return s.from(local) && to.from(local) ||
		s.from(func(ip net.IP) bool { return to.from(ip.Equal) })
}

func (s Seen) from(is func(net.IP) bool) bool {
	return slices.ContainsFunc(s.From, func(a ma.Multiaddr) bool {
		ip, err := manet.ToIP(a)
		return err == nil && is(ip)
	})
}
