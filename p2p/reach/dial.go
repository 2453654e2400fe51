package reach

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/admission"
)

type swarmBackoff = swarm.DialBackoff

// dialer reaches one target. What it leaves running ends with the context that was given to reach,
// and close waits for it.
type dialer struct {
	m      *Manager
	target Target
	work   sync.WaitGroup
	last   func() // ends what the last reach left running, and waits for it

	mu    sync.Mutex
	blame map[peer.ID]int // by relay: how often a path through it was lost, or not established
}

// newDialer also lets the gater dial the target and the relays on the way.
func newDialer(m *Manager, t Target) *dialer {
	d := &dialer{m: m, target: t, last: func() {}, blame: make(map[peer.ID]int)}
	d.expect(1)
	return d
}

// close returns when everything that reach started has ended.
func (d *dialer) close() {
	d.work.Wait()
	d.expect(-1)
}

func (d *dialer) expect(n int) {
	d.m.intents.count(d.m.intents.known, d.target.Peer, n)
	for _, a := range d.target.Addrs {
		if relay, ok := addr.SplitCircuit(a); ok {
			d.m.intents.count(d.m.intents.known, relay.ID, n)
			d.m.ranker.expect(relay, n)
		}
	}
}

// reach returns a connection over whichever address works first. If that is a relayed one, the
// direct addresses are still tried until DialTimeout, and a direct connection then shows up in the
// swarm. Calls must not overlap.
func (d *dialer) reach(ctx context.Context) (network.Conn, error) {
	// While anybody dials a peer, the swarm answers further dials with what it reached before,
	// even if that has been closed again.
	d.last()
	direct, relays := d.split()
	if len(direct) == 0 && len(relays) == 0 {
		return nil, fmt.Errorf("reach %s: no address is known", d.target.Peer)
	}
	clearBackoff(d.m.host.Network(), d.target.Peer)
	r := d.start(ctx, len(direct) > 0, relays)
	d.last = r.end
	var errs []error
	var a answer
	for range r.tries {
		a = <-r.answers
		if a.err == nil {
			r.won(a.conn)
			return a.conn, nil
		}
		errs = append(errs, a.err)
	}
	d.blames(a.relay) // it answered last and held everything up
	return nil, fmt.Errorf("reach %s: %w", d.target.Peer, errors.Join(errs...))
}

// race is one attempt over all ways at once.
type race struct {
	tries          int
	answers        chan answer // one from each attempt
	all            sync.WaitGroup
	cancel         context.CancelFunc
	cancelCircuits context.CancelFunc
}

type answer struct {
	relay peer.ID // empty: direct
	conn  network.Conn
	err   error
}

// start begins the attempts; they are over after DialTimeout.
func (d *dialer) start(ctx context.Context, direct bool, relays []peer.AddrInfo) *race {
	r := &race{answers: make(chan answer, len(relays)+1)}
	ctx, r.cancel = context.WithTimeout(ctx, DialTimeout)
	circuits, cancelCircuits := context.WithCancel(ctx)
	r.cancelCircuits = cancelCircuits
	try := func(relay peer.ID, dial func() (network.Conn, error)) {
		r.tries++
		r.all.Go(func() {
			c, err := dial()
			r.answers <- answer{relay, c, err}
		})
	}
	tried := make(chan struct{}) // closed when the direct addresses have been tried
	if direct {
		try("", func() (network.Conn, error) {
			defer close(tried)
			return d.direct(ctx)
		})
	} else {
		close(tried)
	}
	for _, relay := range relays {
		wait := d.handicap(relay.ID, relays)
		try(relay.ID, func() (network.Conn, error) {
			if !retry.Sleep(circuits, wait) {
				return nil, fmt.Errorf("through relay %s: %w", relay.ID, circuits.Err())
			}
			return d.throughAgain(circuits, relay, tried)
		})
	}
	d.work.Go(func() {
		r.all.Wait()
		r.cancelCircuits()
		r.cancel()
	})
	return r
}

// blames holds a path that was lost, or never established, against a relay.
func (d *dialer) blames(relay peer.ID) {
	if relay == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.blame[relay]++
}

// handicap is how long a relay has to wait for those that were blamed less. A relay that takes a
// circuit at once and then stalls or cuts it would win every race, and libp2p, which dials a peer
// through one relay at a time, would not even try another beside it.
func (d *dialer) handicap(relay peer.ID, among []peer.AddrInfo) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	least := d.blame[relay]
	for _, other := range among {
		least = min(least, d.blame[other.ID])
	}
	return time.Duration(min(d.blame[relay]-least, mostBlame)) * relayHeadStart
}

// won ends the attempts that cannot find anything better.
func (r *race) won(c network.Conn) {
	r.cancelCircuits()
	if !addr.Relayed(c) {
		r.cancel()
	}
}

// end ends all attempts, and waits for them.
func (r *race) end() {
	r.cancel()
	r.all.Wait()
}

// split sorts the target's addresses, and hands the direct ones to the swarm.
func (d *dialer) split() (direct []ma.Multiaddr, relays []peer.AddrInfo) {
	byID := make(map[peer.ID]int)
	for _, a := range d.target.Addrs {
		relay, ok := addr.SplitCircuit(a)
		switch {
		case !addr.IsCircuit(a):
			direct = append(direct, a)
		case !ok:
			log.Debug("address names no relay", "peer", d.target.Peer, "addr", a)
		default:
			i, known := byID[relay.ID]
			if !known {
				i = len(relays)
				byID[relay.ID] = i
				relays = append(relays, peer.AddrInfo{ID: relay.ID})
			}
			relays[i].Addrs = append(relays[i].Addrs, relay.Addrs...)
		}
	}
	book := d.m.host.Peerstore()
	// What identify or mDNS told us may be better than the ticket. Circuits that are known from
	// earlier must go: the swarm would start with all of them, and libp2p dials through one relay
	// after another, for 5 s each, including those that are dead.
	var stale []ma.Multiaddr
	for _, a := range book.Addrs(d.target.Peer) {
		if addr.IsCircuit(a) {
			stale = append(stale, a)
		} else {
			direct = append(direct, a)
		}
	}
	book.SetAddrs(d.target.Peer, stale, 0)
	direct = ma.Unique(d.m.aliases(direct))
	book.AddAddrs(d.target.Peer, direct, peerstore.TempAddrTTL)
	for i := range relays {
		relays[i].Addrs = d.m.aliases(relays[i].Addrs)
	}
	return direct, relays
}

// direct dials all direct addresses at once.
func (d *dialer) direct(ctx context.Context) (network.Conn, error) {
	c, err := d.dial(network.WithForceDirectDial(ctx, "keep"))
	if err != nil {
		return nil, fmt.Errorf("directly: %w", err)
	}
	return c, nil
}

// through connects to a relay, and through it. The swarm learns of the circuit only once the relay
// is there: libp2p dials circuits to one peer in turn, and a dead relay holds up the next for 5 s.
func (d *dialer) through(ctx context.Context, relay peer.AddrInfo) (network.Conn, error) {
	clearBackoff(d.m.host.Network(), relay.ID)
	d.dropDead(ctx, relay.ID)
	if err := d.m.host.Connect(ctx, relay); err != nil {
		return nil, fmt.Errorf("relay %s: %w", relay.ID, err)
	}
	via := ma.StringCast("/p2p/" + relay.ID.String() + "/p2p-circuit")
	d.m.host.Peerstore().AddAddrs(d.target.Peer, []ma.Multiaddr{via}, peerstore.TempAddrTTL)
	c, err := d.dial(network.WithAllowLimitedConn(ctx, "keep"))
	if err != nil {
		return nil, fmt.Errorf("through relay %s: %w", relay.ID, err)
	}
	return c, nil
}

// throughAgain repeats through while the direct addresses are tried, which takes long where a
// firewall is silent: a relay that has just restarted refuses peers that its link has not named
// yet.
func (d *dialer) throughAgain(ctx context.Context, relay peer.AddrInfo, tried <-chan struct{}) (network.Conn, error) {
	pause := retry.Between(firstBackoff, maxBackoff)
	for {
		c, err := d.through(ctx, relay)
		if err == nil {
			return c, nil
		}
		select {
		case <-tried:
			return nil, err
		default:
		}
		if !retry.SleepUnless(ctx, pause.Next(), tried) {
			return nil, err
		}
	}
}

// dropDead closes the connection to a relay that may have died and taken the path with it.
func (d *dialer) dropDead(ctx context.Context, relay peer.ID) {
	conns := d.m.host.Network().ConnsToPeer(relay)
	for _, c := range conns {
		if time.Since(c.Stat().Opened) < aliveTimeout {
			return
		}
	}
	if len(conns) > 0 && d.m.prober.lives(ctx, relay, aliveTimeout) != nil && ctx.Err() == nil {
		d.m.host.Network().ClosePeer(relay)
	}
}

// forgetOldPaths closes all connections to the target, and those to the relays on the way. They
// may outlive a change of this host's address, as QUIC does; but nobody announces the new address
// on them, and without it no hole can be punched.
func (d *dialer) forgetOldPaths() {
	_ = d.m.host.Network().ClosePeer(d.target.Peer) // they may be dead
	for _, a := range d.target.Addrs {
		if relay, ok := addr.SplitCircuit(a); ok && !d.m.intents.IsRelay(relay.ID) {
			_ = d.m.host.Network().ClosePeer(relay.ID)
		}
	}
}

func (d *dialer) dial(ctx context.Context) (network.Conn, error) {
	c, err := d.m.host.Network().DialPeer(ctx, d.target.Peer)
	if err == nil && c.IsClosed() {
		return nil, admission.Refusal(d.m.host.Peerstore(), c, "", errors.New("the connection was closed at once"))
	}
	return c, err
}

// open opens a stream of proto on the best connection to a peer; c is one of them. The error is
// admission.ErrRefused if the peer does not take this host as a member.
func (m *Manager) open(ctx context.Context, c network.Conn, proto protocol.ID) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	ctx = network.WithNoDial(network.WithAllowLimitedConn(ctx, "overlay"), "already connected")
	s, err := m.host.NewStream(ctx, c.RemotePeer(), proto)
	if err != nil {
		return nil, fmt.Errorf("open %s to %s: %w", proto, c.RemotePeer(), admission.Refusal(m.host.Peerstore(), c, proto, err))
	}
	return s, nil
}
