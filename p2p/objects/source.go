package objects

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// source is a provider in one fetch.
type source struct {
	Provider
	out     error // why it is not asked any more
	strikes int   // objects of which it alone sent wrong bytes
	last    error // its last failure, for the report

	streams int // at a time
	idle    int // workers that have nothing to ask it for
	// has is what it is known to give, in a swarm; nil: it may be asked for everything.
	has  map[*item]struct{}
	rate float64 // of its last transfer in bytes per second; 0: none yet
	// proven: an object of it has turned out right, or it is not on trial at all. Until then it
	// is asked for one object at a time: onTrial while there is no verdict on that.
	proven, onTrial bool
}

// item is an object in one fetch.
type item struct {
	id string
	// no says which sources cannot give it, and why.
	no map[*source]error
	// sole is who sent everything that this fetch received of it; nil if nobody did yet.
	sole *source
	// mixed: what is there comes from several, or from before this fetch. If it turns out
	// wrong, nobody can be blamed.
	mixed bool
	// pinned: it turned out wrong once with nobody to blame. Now it has to come from one
	// source alone, which is pinnedTo once one has begun.
	pinned   bool
	pinnedTo *source
	// suspect is the source that is to look at its copy before it sends it again.
	suspect *source
	// holders is how many sources are known to have it, in a swarm.
	holders int
}

// usable reports whether the source may be asked for the item now.
func (it *item) usable(src *source) bool {
	if src.out != nil || it.no[src] != nil {
		return false
	}
	if _, has := src.has[it]; src.has != nil && !has {
		return false
	}
	return !it.pinned || it.pinnedTo == nil || it.pinnedTo == src
}

// refuse notes that a source cannot give the item.
func (it *item) refuse(src *source, why error) {
	if it.no == nil {
		it.no = make(map[*source]error)
	}
	it.no[src] = why
}

// credit notes that src sends bytes from an offset on.
func (it *item) credit(src *source, offset int64) {
	switch {
	case offset == 0:
		it.sole, it.mixed = src, false
	case it.sole != src:
		it.mixed = true
	}
}

// blameList remembers who sent wrong bytes.
type blameList struct {
	mu    sync.Mutex
	until map[peer.ID]time.Time
}

func newBlameList() *blameList { return &blameList{until: make(map[peer.ID]time.Time)} }

func (b *blameList) add(p peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for other, until := range b.until {
		if len(b.until) >= maxBlamed || now.After(until) {
			delete(b.until, other)
		}
	}
	b.until[p] = now.Add(blameTime)
}

func (b *blameList) has(p peer.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.until[p])
}
