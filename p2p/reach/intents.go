package reach

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// Intents are the peers that a host is reaching for, and why. Admission and the transports consult
// them, and whoever dials changes them.
type Intents struct {
	hub    bool
	relays map[peer.ID]peer.AddrInfo // constant

	mu    sync.Mutex
	kept  map[peer.ID]int // how many calls of Keep have this target
	known map[peer.ID]int // the same with joins and relays on the way
	joins map[peer.ID]int // how many joins have this target
}

// NewIntents makes the intents of a host with relays of its own, at which a hub reserves by TCP
// only.
func NewIntents(hub bool, relays []peer.AddrInfo) *Intents {
	i := &Intents{
		hub: hub, relays: make(map[peer.ID]peer.AddrInfo),
		kept: make(map[peer.ID]int), known: make(map[peer.ID]int), joins: make(map[peer.ID]int),
	}
	for _, r := range relays {
		i.relays[r.ID] = peer.AddrInfo{ID: r.ID, Addrs: append(i.relays[r.ID].Addrs, r.Addrs...)}
	}
	return i
}

// IsRelay reports whether p is a relay of this host.
func (i *Intents) IsRelay(p peer.ID) bool {
	_, is := i.relays[p]
	return is
}

// Keeps reports whether this host holds a path to p.
func (i *Intents) Keeps(p peer.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.kept[p] > 0
}

// Expects reports whether this host is trying to reach p.
func (i *Intents) Expects(p peer.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known[p] > 0
}

// Joins reports whether connections to p will be closed once it has let this host in.
func (i *Intents) Joins(p peer.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.joins[p] > 0 && i.kept[p] == 0
}

// MayDial keeps a hub from dialling its relays over UDP where they have a TCP address: a relay can
// bring it no more than 256 circuits over one QUIC connection.
func (i *Intents) MayDial(p peer.ID, at ma.Multiaddr) bool {
	return !i.hub || !addr.IsUDP(at) || !i.isTCPRelay(p)
}

// isTCPRelay reports whether p is a relay of this host that has a TCP address.
func (i *Intents) isTCPRelay(p peer.ID) bool {
	for _, a := range i.relays[p].Addrs {
		if !addr.IsUDP(a) {
			return true
		}
	}
	return false
}

// count adds n to a counter of kept, known or joins.
func (i *Intents) count(of map[peer.ID]int, p peer.ID, n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if of[p] += n; of[p] == 0 {
		delete(of, p)
	}
}
