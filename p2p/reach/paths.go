package reach

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// Path is one connection to a peer.
type Path struct {
	Relay     peer.ID           // the relay that it goes through; empty: it is direct
	Limited   bool              // the relay cuts it after some time or bytes
	Direction network.Direction // who dialled
	Transport string            // tcp, quic-v1, websocket; for a relayed path, that of the way to the relay
	Security  string            // tls or noise; for a relayed path libp2p does not say which
	Local     ma.Multiaddr
	Remote    ma.Multiaddr
	Since     time.Time
	RTT       time.Duration // as last measured; 0: not measured yet
}

// Direct reports whether there is no relay in between.
func (p Path) Direct() bool { return p.Relay == "" }

// Ways is all that is known about the ways to a peer.
type Ways struct {
	Paths   []Path // starting with the one that new streams take
	In, Out int64  // bytes of all streams since the host started
	Failure *Failure
}

// Failure is the last thing that went wrong on the way to a peer.
type Failure struct {
	At  time.Time
	Err error
}

// Paths returns the connections to a peer, starting with the one that new streams take.
func (m *Manager) Paths(p peer.ID) []Path {
	var paths []Path
	for _, c := range m.host.Network().ConnsToPeer(p) {
		if !c.IsClosed() {
			paths = append(paths, m.path(c))
		}
	}
	slices.SortStableFunc(paths, func(a, b Path) int {
		return cmp.Or(cmp.Compare(worse(a), worse(b)), a.Since.Compare(b.Since))
	})
	return paths
}

// Ways reports how a peer is reached, and what went wrong last.
func (m *Manager) Ways(p peer.ID) Ways {
	bytes := m.traffic.GetBandwidthForPeer(p)
	return Ways{Paths: m.Paths(p), In: bytes.TotalIn, Out: bytes.TotalOut, Failure: m.paths.failure(p)}
}

// worse orders paths as the swarm does: unlimited first, then direct.
func worse(p Path) int {
	n := 0
	if p.Limited {
		n += 2
	}
	if !p.Direct() {
		n++
	}
	return n
}

func (m *Manager) path(c network.Conn) Path {
	state, stat := c.ConnState(), c.Stat()
	p := Path{
		Relay:     addr.RelayOf(c),
		Limited:   stat.Limited,
		Direction: stat.Direction,
		Transport: state.Transport,
		Security:  strings.Trim(strings.TrimSuffix(string(state.Security), "/1.0.0"), "/"),
		Local:     c.LocalMultiaddr(),
		Remote:    c.RemoteMultiaddr(),
		Since:     stat.Opened,
		RTT:       m.paths.rtt(c).took,
	}
	if p.Security == "" && p.Transport == "quic-v1" {
		p.Security = "tls"
	}
	if p.Relay != "" {
		p.Transport, p.Security = addr.Transport(p.Remote), "tls or noise"
	}
	return p
}

// pathBook remembers what connections do not know about themselves.
type pathBook struct {
	mu       sync.Mutex
	rtts     map[network.Conn]roundTrip
	failures map[peer.ID]Failure
}

// roundTrip is one measurement; the zero value means none yet.
type roundTrip struct {
	took time.Duration
	at   time.Time
}

func newPathBook() *pathBook {
	return &pathBook{rtts: make(map[network.Conn]roundTrip), failures: make(map[peer.ID]Failure)}
}

func (b *pathBook) opened(c network.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rtts[c] = roundTrip{}
}

func (b *pathBook) closed(c network.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.rtts, c)
}

func (b *pathBook) measured(c network.Conn, rtt time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := b.rtts[c]; open {
		b.rtts[c] = roundTrip{took: rtt, at: time.Now()}
	}
}

func (b *pathBook) rtt(c network.Conn) roundTrip {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rtts[c]
}

func (b *pathBook) failure(p peer.ID) *Failure {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f, ok := b.failures[p]; ok {
		return &f
	}
	return nil
}

func (b *pathBook) fail(p peer.ID, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.failures[p]; !known && len(b.failures) >= maxFailures {
		b.forgetOldest()
	}
	b.failures[p] = Failure{At: time.Now(), Err: err}
}

func (b *pathBook) forgetOldest() {
	var oldest peer.ID
	for p, f := range b.failures {
		if oldest == "" || f.At.Before(b.failures[oldest].At) {
			oldest = p
		}
	}
	delete(b.failures, oldest)
}
