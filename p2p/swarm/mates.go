package swarm

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// mate is a node in a run.
type mate struct {
	id     peer.ID
	near   map[peer.ID]*mate // those that it is told of, and that are told of it
	due    bool              // near has changed since it was told
	shared []string          // to be told
}

// enter takes a node into the run, and has it meet others.
func (c *course) enter(p peer.ID) {
	if c.mates[p] != nil {
		return
	}
	m := &mate{id: p, near: make(map[peer.ID]*mate), due: true}
	c.mates[p] = m
	c.meet(m)
	c.hub.cfg.News(p)
}

// meet returns a node neighbours, those first that have few themselves. The order among
// equals is random, so that the graph has short ways whatever order nodes come in.
func (c *course) meet(m *mate) {
	var others []*mate
	for _, other := range c.mates {
		if _, known := m.near[other.id]; other != m && !known && len(other.near) < maxNeighbours {
			others = append(others, other)
		}
	}
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	slices.SortStableFunc(others, func(a, b *mate) int { return cmp.Compare(len(a.near), len(b.near)) })
	for _, other := range others[:min(len(others), max(0, wishedNeighbours-len(m.near)))] {
		m.near[other.id], other.near[m.id] = other, m
		c.dueFor(m)
		c.dueFor(other)
	}
}

func (c *course) dueFor(m *mate) {
	m.due = true
	c.hub.cfg.News(m.id)
}

// leave takes a node out of the run, and finds others for those who lose it.
func (c *course) leave(p peer.ID) {
	m := c.mates[p]
	if m == nil {
		return
	}
	delete(c.mates, p)
	for _, other := range m.near {
		delete(other.near, p)
		c.dueFor(other)
	}
	for _, other := range m.near {
		if len(other.near) < wishedNeighbours/2 {
			c.meet(other)
		}
	}
	for a := range c.askers {
		if a.peer == p {
			a.closeLocked()
		}
	}
	c.lose(p)
}

// providersFor names the neighbours of a node, with the addresses that it may know.
func (c *course) providersFor(m *mate) []objects.Provider {
	to := c.hub.cfg.Seen(m.id)
	list := make([]objects.Provider, 0, len(m.near))
	for id := range m.near {
		list = append(list, objects.Provider{Peer: id, Addrs: c.hub.cfg.Seen(id).shownTo(to), Direct: true})
	}
	return list
}
