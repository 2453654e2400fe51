package swarm

import (
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// hubAsker is a stream of a node at the link. It is guarded by the Hub.
type hubAsker struct {
	course *course
	peer   peer.ID
	tell   func([]string)

	wants  map[*thing]struct{}
	alone  bool
	given  int // copies on their way to it that count for others
	got    int // objects that have come
	own    int // copies on their way that count for nobody else
	window int // of those
	closed bool
}

// grant is a copy on its way.
//
//	(given) ──Got, or the asker has left──► ended
//	   └──── slow ──► stale: it may come, but others do not wait for it
type grant struct {
	asker *hubAsker
	thing *thing
	at    time.Time
	own   bool // of the asker's own window
	stale bool
}

func (c *course) begin(p peer.ID, tell func([]string)) *hubAsker {
	a := &hubAsker{course: c, peer: p, tell: tell, wants: make(map[*thing]struct{}), window: ownWindow}
	c.askers[a] = struct{}{}
	return a
}

// Heard implements [Asker].
func (a *hubAsker) Heard(ask Ask) error {
	c := a.course
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if a.closed {
		return ErrRefused // its session or the run has ended
	}
	now := time.Now()
	a.setAlone(ask.Alone)
	for _, liar := range ask.Liars {
		c.denounced(a.peer, liar)
	}
	for _, id := range ask.Got {
		if t := c.things[id]; t != nil {
			a.has(t, now)
		}
	}
	var small []string
	for _, id := range ask.Want {
		t := c.things[id]
		// An app bundle, say, or forgotten; or not worth asking around for.
		if t == nil || t.sized(c.hub) <= smallThing {
			small = append(small, id)
			continue
		}
		if len(a.wants) >= maxAsked {
			return errTooMuch
		}
		a.want(t, now)
	}
	if len(small) > 0 {
		a.tell(small)
	}
	a.giveOwn(now)
	c.give(now)
	c.hub.watchLocked()
	return nil
}

// Close implements [Asker].
func (a *hubAsker) Close() {
	a.course.hub.mu.Lock()
	defer a.course.hub.mu.Unlock()
	a.closeLocked()
	a.course.give(time.Now())
}

func (a *hubAsker) closeLocked() {
	a.closed = true
	delete(a.course.askers, a)
	for t := range a.wants {
		a.drop(t, time.Now())
	}
}

func (a *hubAsker) want(t *thing, now time.Time) {
	if t.wanting == nil {
		t.wanting, t.holders, t.copies = make(map[*hubAsker]struct{}), make(map[peer.ID]struct{}), make(map[*hubAsker]*grant)
	}
	if len(t.wanting) == 0 {
		t.moved = now
	}
	a.wants[t], t.wanting[a] = struct{}{}, struct{}{}
	a.course.wanted[t] = struct{}{}
	delete(t.holders, a.peer) // it was a mistake, or is gone from its disk
	a.course.refresh(t)
}

// has notes that the asker has an object.
func (a *hubAsker) has(t *thing, now time.Time) {
	if _, wanted := a.wants[t]; !wanted {
		return
	}
	c := a.course
	if g := t.copies[a]; g != nil && !g.own && t.size > 0 {
		c.pace = 0.7*c.pace + 0.3*min(now.Sub(g.at).Seconds()/float64(t.size), worstPace)
	}
	if a.got++; a.window < maxOwnWindow {
		a.window++
	}
	t.moved = now
	if _, liar := c.liars[a.peer]; !a.alone && !liar {
		t.holders[a.peer] = struct{}{}
	}
	log.Debug("object has come", "peer", a.peer, "object", t.id, "from_here", t.copies[a] != nil, "holders", len(t.holders))
	a.drop(t, now)
}

// drop takes an object off the asker's list.
func (a *hubAsker) drop(t *thing, now time.Time) {
	c := a.course
	if g := t.copies[a]; g != nil {
		c.end(g)
		t.moved = now
	}
	delete(a.wants, t)
	if delete(t.wanting, a); len(t.wanting) == 0 {
		delete(c.wanted, t)
	}
	c.refresh(t)
}

// denounced notes that a node gave another wrong bytes. If that is not true, it costs the link
// a copy.
func (c *course) denounced(by, liar peer.ID) {
	if _, known := c.liars[liar]; known || c.mates[liar] == nil {
		return
	}
	log.Warn("a node says that another gave it wrong bytes", "peer", liar, "by", by)
	c.liars[liar] = struct{}{}
	c.lose(liar)
}

// setAlone: what is given to a node that reaches nobody is of no use to others.
func (a *hubAsker) setAlone(alone bool) {
	if a.alone == alone {
		return
	}
	a.alone = alone
	for t := range a.wants {
		if g := t.copies[a]; g != nil && !alone && t.shared {
			a.course.count(g)
		}
	}
}

// count has a copy of an asker's own window count for all.
func (c *course) count(g *grant) {
	if !g.own || g.asker.alone {
		return
	}
	g.own = false
	g.asker.own--
	g.asker.given++
	c.given++
	c.bytes += g.thing.size
}

// give sends out first copies.
func (c *course) give(now time.Time) {
	for c.room() && len(c.fresh) > 0 {
		t := c.fresh[0]
		c.fresh[0] = nil
		c.fresh, t.queued = c.fresh[1:], false
		if t.isFresh() {
			c.giveOnce(t, now)
		}
	}
}

func (c *course) room() bool { return c.given < seedThings || c.bytes < seedBytes }

// giveOwn returns an asker what it can get from nobody else.
func (a *hubAsker) giveOwn(now time.Time) {
	if a.own >= a.window {
		return
	}
	for t := range a.wants {
		if _, coming := t.copies[a]; !coming && (a.alone || !t.shared) {
			a.course.grant(&grant{asker: a, thing: t, at: now, own: true})
			if a.own++; a.own >= a.window {
				return
			}
		}
	}
}

// giveOnce returns an object to the one who will be through with it first: who has nothing
// else coming, and has got little yet.
func (c *course) giveOnce(t *thing, now time.Time) {
	var best *hubAsker
	for a := range t.wanting {
		if _, coming := t.copies[a]; coming || a.alone {
			continue
		}
		if best == nil || a.given < best.given || a.given == best.given && a.got < best.got {
			best = a
		}
	}
	if best == nil {
		return
	}
	best.given++
	c.given++
	c.bytes += t.size
	c.grant(&grant{asker: best, thing: t, at: now})
}

func (c *course) grant(g *grant) {
	g.thing.copies[g.asker] = g
	g.asker.tell([]string{g.thing.id})
	log.Debug("object is given", "peer", g.asker.peer, "object", g.thing.id, "holders", len(g.thing.holders), "alone", g.own)
}

// end takes a copy out of the account.
func (c *course) end(g *grant) {
	delete(g.thing.copies, g.asker)
	switch {
	case g.own:
		g.asker.own--
	case !g.stale:
		g.asker.given--
		c.given--
		c.bytes -= g.thing.size
	default:
		g.asker.given--
	}
}

// look gives up copies that are slow, and gives once more what is not passed on.
func (c *course) look(now time.Time) {
	for _, t := range slices.Collect(maps.Keys(c.wanted)) {
		expected := time.Duration(c.pace * float64(t.size) * float64(time.Second))
		for _, g := range t.copies {
			if !g.own && !g.stale && now.Sub(g.at) > slowBase+slowTimes*expected {
				g.stale = true
				c.given--
				c.bytes -= t.size
				c.pace = min(1.5*c.pace, worstPace)
				t.moved = now
			}
		}
		switch {
		case !t.shared || t.coming() || !c.room():
		case len(t.holders) == 0, now.Sub(t.moved) > stuckBase+stuckTimes*expected:
			c.giveOnce(t, now)
		}
	}
	c.give(now)
}
