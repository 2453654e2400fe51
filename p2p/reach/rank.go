package reach

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// ranker says in which order the addresses of a peer are dialled: all at once, except that QUIC
// waits a little where TCP may do, since TCP carries a model over a lossy line fifteen times as
// fast (see tune) for a third of the processor time.
//
// Relays are an exception: over QUIC a relay tells a peer the address that the peer's NAT gives to
// UDP, and holes are punched with that.
type ranker struct {
	mu     sync.Mutex
	relays map[string]int // addresses of relays, and how many dialers know each
}

func newRanker() *ranker { return &ranker{relays: make(map[string]int)} }

// expect adds n, which may be negative, to the number of dialers that know the relay.
func (r *ranker) expect(relay peer.AddrInfo, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range relay.Addrs {
		key := string(a.Bytes())
		if r.relays[key] += n; r.relays[key] == 0 {
			delete(r.relays, key)
		}
	}
}

// rank implements network.DialRanker.
func (r *ranker) rank(addrs []ma.Multiaddr) []network.AddrDelay {
	wait := time.Duration(0)
	if slices.ContainsFunc(addrs, func(a ma.Multiaddr) bool { return !addr.IsUDP(a) && !addr.IsCircuit(a) }) && !r.ofRelay(addrs) {
		wait = tcpHeadStart
	}
	ranked := make([]network.AddrDelay, 0, len(addrs))
	for _, a := range addrs {
		delay := time.Duration(0)
		if addr.IsUDP(a) && !addr.IsCircuit(a) {
			delay = wait
		}
		ranked = append(ranked, network.AddrDelay{Addr: a, Delay: delay})
	}
	return ranked
}

func (r *ranker) ofRelay(addrs []ma.Multiaddr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(addrs, func(a ma.Multiaddr) bool { return r.relays[string(a.Bytes())] > 0 })
}
