package admission

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// guestList holds the connections of peers that may not stay. There are few places, and peers that
// only sit in them must not keep out those that came to join:
//
//	arrived ──► silent ───── showed a ticket ─────► known
//	   │          │                                   │
//	   │          ├─ became a member ─► forgotten ◄───┤
//	   │          │                                   │
//	   │          └─ after silentTime, ─► leaving ◄───┘ after lobbyTime
//	   │             or after leastTime
//	   │             if another needs the place
//	   └─ no place: closed
//
// The silent guests of one [origin] have a share of the places. A peer that arrives when the share
// is used up takes the place of the oldest of them, and nobody else's. When all places are taken, it
// takes that of the oldest silent guest of all. Peers that must leave are told to come again,
// unless they are refused.
type guestList struct {
	standing   func(peer.ID) Standing
	background func(func())

	mu     sync.Mutex
	guests map[network.Conn]*guest // including those that are leaving
	taken  int                     // places, by guests that are not leaving
	silent map[origin]int
}

type guest struct {
	conn    network.Conn
	from    origin
	since   time.Time
	timer   *time.Timer
	stage   stage
	streams int
}

type stage int

const (
	silent stage = iota
	known
	leaving
)

func newGuestList(standing func(peer.ID) Standing, background func(func())) *guestList {
	return &guestList{
		standing: standing, background: background,
		guests: make(map[network.Conn]*guest), silent: make(map[origin]int),
	}
}

// admit gives a connection a place and starts its clock, or closes it.
func (l *guestList) admit(c network.Conn) {
	from := originOf(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	room := true
	switch {
	case l.silent[from] >= from.share():
		room = l.makeRoom(func(g *guest) bool { return g.from == from })
	case l.taken >= lobbyPeers:
		room = l.makeRoom(func(*guest) bool { return true })
	}
	if !room {
		l.background(func() { c.CloseWithError(network.ConnResourceLimitExceeded) })
		return
	}
	stay := silentTime
	if l.standing(c.RemotePeer()) == Refused {
		stay = refusedTime
	}
	g := &guest{conn: c, from: from, since: time.Now()}
	g.timer = time.AfterFunc(stay, func() { l.expired(g) })
	l.guests[c] = g
	l.taken++
	l.silent[from]++
}

// makeRoom takes the place of the oldest silent guest among some, if it has had time to show a
// ticket. The caller has the lock.
func (l *guestList) makeRoom(among func(*guest) bool) bool {
	var oldest *guest
	for _, g := range l.guests {
		if g.stage == silent && among(g) && (oldest == nil || g.since.Before(oldest.since)) {
			oldest = g
		}
	}
	switch {
	case oldest == nil:
		return false
	case l.standing(oldest.conn.RemotePeer()) == Member: // allowed by hand meanwhile
		l.forget(oldest)
		return true
	case time.Since(oldest.since) < leastTime:
		return false
	}
	l.putOut(oldest)
	return true
}

// expired is called when the time of a guest is over.
func (l *guestList) expired(g *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.guests[g.conn] != g || g.stage == leaving:
	case g.stage == known && time.Since(g.since) < lobbyTime:
		// It showed a ticket at this very moment, and its clock has been started again.
	case l.standing(g.conn.RemotePeer()) == Member:
		l.forget(g)
	default:
		l.putOut(g)
	}
}

// putOut closes a guest's connection. It stays in the list until it is gone, so that it can
// open no stream. The caller has the lock.
func (l *guestList) putOut(g *guest) {
	l.giveUpPlace(g)
	code := network.ConnGarbageCollected // the peer was slow, or this host was; it may come again
	if l.standing(g.conn.RemotePeer()) == Refused {
		code = network.ConnGated
	}
	l.background(func() { g.conn.CloseWithError(code) })
}

// giveUpPlace makes the place of a guest free and stops its clock. The caller has the lock.
func (l *guestList) giveUpPlace(g *guest) {
	g.timer.Stop()
	switch g.stage {
	case leaving:
		return
	case silent:
		l.spoke(g)
	}
	g.stage = leaving
	l.taken--
}

// spoke takes a guest out of its origin's share, since it is silent no longer. The caller has the lock.
func (l *guestList) spoke(g *guest) {
	if l.silent[g.from]--; l.silent[g.from] == 0 {
		delete(l.silent, g.from)
	}
}

// forget takes a guest off the list. The caller has the lock.
func (l *guestList) forget(g *guest) {
	l.giveUpPlace(g)
	delete(l.guests, g.conn)
}

// showed lets a guest keep its place until it has joined, for lobbyTime at most.
func (l *guestList) showed(c network.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.guests[c]
	if g == nil || g.stage != silent {
		return
	}
	l.spoke(g)
	g.stage = known
	g.timer.Reset(lobbyTime - time.Since(g.since))
}

func (l *guestList) gone(c network.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.guests[c]; g != nil {
		l.forget(g)
	}
}

// enter counts a stream of a guest. Connections that we dialled are no guests and count
// under the resource manager only.
func (l *guestList) enter(c network.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.guests[c]
	if g == nil {
		return true
	}
	if g.stage == leaving || g.streams >= lobbyStreams {
		return false
	}
	g.streams++
	return true
}

// leave is called when a stream has ended. If the guest became a member on it, its place is free from
// now on, so that a thousand peers that join at once pass through a few places.
func (l *guestList) leave(c network.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.guests[c]
	if g == nil {
		return
	}
	g.streams--
	if g.stage != leaving && l.standing(c.RemotePeer()) == Member {
		l.forget(g)
	}
}

// close stops the clocks.
func (l *guestList) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.guests {
		l.forget(g)
	}
}

// origin is what one attacker has to itself: an IPv4 address, an IPv6 /56, or a relay, behind which
// addresses are not seen. The zero value stands for everything else.
type origin struct {
	network netip.Prefix
	relay   peer.ID
}

func originOf(c addr.Connection) origin {
	if addr.Relayed(c) {
		return origin{relay: addr.RelayOf(c)}
	}
	ip, err := manet.ToIP(c.RemoteMultiaddr())
	if err != nil {
		return origin{}
	}
	from, _ := netip.AddrFromSlice(ip)
	from = from.Unmap()
	bits := 56
	if from.Is4() {
		bits = 32
	}
	prefix, err := from.Prefix(bits)
	if err != nil {
		return origin{}
	}
	return origin{network: prefix}
}

// share is how many places the silent guests of an origin may have.
func (o origin) share() int {
	if o.relay != "" {
		return relayGuests
	}
	return addressGuests
}
