package swarm

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// course is what a [Hub] knows of a run.
type course struct {
	hub    *Hub
	mates  map[peer.ID]*mate
	askers map[*hubAsker]struct{}
	liars  map[peer.ID]struct{} // what they have counts for nothing

	things map[string]*thing
	order  []*thing            // by age
	wanted map[*thing]struct{} // by somebody
	fresh  []*thing            // that may have to be given a first time

	given int     // copies on their way to nodes that will pass them on
	bytes int64   // of these
	pace  float64 // what a copy needs, in seconds a byte
}

// thing is an object of a run.
type thing struct {
	id      string
	size    int64   // -1: not looked up yet
	first   peer.ID // whom it was offered to first
	shared  bool    // and to another
	queued  bool    // in fresh
	holders map[peer.ID]struct{}
	wanting map[*hubAsker]struct{}
	copies  map[*hubAsker]*grant // on their way
	moved   time.Time            // when a copy last came or was given up
}

func newCourse(h *Hub) *course {
	return &course{
		hub: h, mates: make(map[peer.ID]*mate), askers: make(map[*hubAsker]struct{}), liars: make(map[peer.ID]struct{}),
		things: make(map[string]*thing), wanted: make(map[*thing]struct{}), pace: firstPace,
	}
}

// offer notes what a node is offered, and tells what others were offered too.
func (c *course) offer(p peer.ID, tree *flwrpb.ObjectTree) (shared []string) {
	t := c.things[tree.GetObjectId()]
	switch {
	case t == nil:
		c.add(tree.GetObjectId(), p)
	case t.shared:
		return []string{t.id}
	case t.first != p:
		c.share(tree)
		return []string{t.id}
	}
	for _, child := range tree.GetChildren() {
		shared = append(shared, c.offer(p, child)...)
	}
	return shared
}

func (c *course) add(id string, p peer.ID) {
	if len(c.order) >= maxThings {
		c.forget()
	}
	t := &thing{id: id, first: p, size: -1}
	c.things[id] = t
	c.order = append(c.order, t)
}

// forget drops the older half of the objects that nobody wants.
func (c *course) forget() {
	old := len(c.order) / 2
	kept := make([]*thing, 0, len(c.order))
	for i, t := range c.order {
		if i < old && len(t.wanting) == 0 {
			delete(c.things, t.id)
		} else {
			kept = append(kept, t)
		}
	}
	c.order = kept
}

// share notes that all objects of a tree go to several, and has those told who did not
// know. Whoever was offered the root was offered all of it.
func (c *course) share(tree *flwrpb.ObjectTree) {
	t := c.things[tree.GetObjectId()]
	if t == nil || t.shared { // nil: forgotten
		return
	}
	t.shared = true
	if m := c.mates[t.first]; m != nil {
		m.shared = append(m.shared, t.id)
		c.hub.cfg.News(m.id)
	}
	for _, g := range t.copies {
		c.count(g)
	}
	c.refresh(t)
	for _, child := range tree.GetChildren() {
		c.share(child)
	}
}

// lose notes that a node cannot give anything any more.
func (c *course) lose(p peer.ID) {
	for _, t := range c.order {
		if _, held := t.holders[p]; held {
			delete(t.holders, p)
			c.refresh(t)
		}
	}
}

// refresh queues an object that nobody has and nobody is about to have.
func (c *course) refresh(t *thing) {
	if t.isFresh() && !t.queued {
		t.queued = true
		c.fresh = append(c.fresh, t)
	}
}

func (t *thing) isFresh() bool {
	return t.shared && len(t.wanting) > 0 && len(t.holders) == 0 && !t.coming()
}

// coming reports whether a copy is on its way to a node that will pass it on soon.
func (t *thing) coming() bool {
	for _, g := range t.copies {
		if !g.own && !g.stale {
			return true
		}
	}
	return false
}

// sized looks the size up once. What cannot be looked up is given as if it were small: the
// exchange then says what is wrong with it.
func (t *thing) sized(h *Hub) int64 {
	if t.size < 0 {
		t.size, _ = h.cfg.Size(t.id)
	}
	return t.size
}
