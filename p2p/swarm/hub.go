package swarm

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// HubConfig is what a Hub works with. All is required. The functions are called under the
// Hub's lock: they must not block, and not call it.
type HubConfig struct {
	// Size of an object of the link.
	Size func(id string) (int64, error)
	// Seen tells where a node was seen.
	Seen func(p peer.ID) Seen
	// News says that Take has something for a node.
	News func(p peer.ID)
}

// Hub is the link's part: it knows which objects go to many, names nodes to each other, and
// gives first copies. Its methods may be called concurrently.
type Hub struct {
	cfg HubConfig

	mu      sync.Mutex
	courses map[uint64]*course
	timer   *time.Timer // nil while nobody waits
	closed  bool
}

// NewHub makes a Hub. The caller must Close it.
func NewHub(cfg HubConfig) *Hub { return &Hub{cfg: cfg, courses: make(map[uint64]*course)} }

// Close ends what the Hub does by itself.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
	}
}

// News is what a node is to be told of a run.
type News struct {
	RunID uint64
	// Peers are the nodes that it may exchange objects with from now on, and no others; nil
	// if nothing has changed.
	Peers []objects.Provider
	// Shared are objects that it was offered alone, and that others were offered since.
	Shared []string
}

// Offer notes that a node is offered a message with these objects, and tells which of them
// go to others as well: the roots of all parts of the tree that do.
func (h *Hub) Offer(runID uint64, p peer.ID, tree *flwrpb.ObjectTree) (shared []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.courses[runID]
	if c == nil {
		c = newCourse(h)
		h.courses[runID] = c
	}
	c.enter(p)
	shared = c.offer(p, tree)
	c.give(time.Now())
	h.watchLocked()
	return shared
}

// Leave notes that a node's session has ended.
func (h *Hub) Leave(p peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, c := range h.courses {
		c.leave(p)
		if len(c.mates) == 0 {
			delete(h.courses, id)
			continue
		}
		c.give(time.Now())
	}
}

// End forgets a run. Its nodes are told so by the session.
func (h *Hub) End(runID uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.courses[runID]; c != nil {
		for a := range c.askers {
			a.closeLocked()
		}
		delete(h.courses, runID)
	}
}

// Take returns what a node is to be told, once.
func (h *Hub) Take(p peer.ID) []News {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []News
	for runID, c := range h.courses {
		m := c.mates[p]
		if m == nil || !m.due && len(m.shared) == 0 {
			continue
		}
		n := News{RunID: runID, Shared: m.shared}
		if m.due {
			n.Peers = c.providersFor(m)
		}
		m.due, m.shared = false, nil
		all = append(all, n)
	}
	return all
}

// Begin implements [Source]. A node has to be offered something first.
func (h *Hub) Begin(p peer.ID, runID uint64, tell func([]string)) (Asker, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.courses[runID]
	if c == nil || c.mates[p] == nil {
		return nil, ErrRefused
	}
	return c.begin(p, tell), nil
}

// watch has the timer run while somebody waits for something.
func (h *Hub) watchLocked() {
	if h.timer == nil && !h.closed {
		h.timer = time.AfterFunc(tick, h.look)
	}
}

// look gives up slow copies and gives stuck objects once more.
func (h *Hub) look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timer = nil
	for _, c := range h.courses {
		if len(c.wanted) > 0 {
			c.look(time.Now())
			h.watchLocked()
		}
	}
}
