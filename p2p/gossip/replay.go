package gossip

import (
	"sync"
	"time"
)

// replays remembers announcements for as long as the clock alone would let them in again: Created
// may lie a Window ahead when one arrives and is good for a Window after, so twice that. When the
// memory is full the oldest go, and anything not younger than them counts as late, so that
// forgetting never lets an announcement in twice.
type replays struct {
	mu    sync.Mutex
	seen  map[key]struct{}
	order []arrival // oldest first
	floor time.Time
}

type key struct {
	created int64 // unix milliseconds
	nonce   uint64
}

type arrival struct {
	key
	at time.Time
}

func newReplays() *replays { return &replays{seen: make(map[key]struct{})} }

// first remembers a, or returns ErrSeen.
func (r *replays) first(a Announcement, now time.Time) error {
	k := key{a.Created.UnixMilli(), a.Nonce}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	if _, again := r.seen[k]; again {
		return ErrSeen
	}
	if len(r.order) == maxRemembered {
		r.floor = later(r.floor, time.UnixMilli(r.order[0].created))
		r.forgetOldest()
	}
	r.seen[k] = struct{}{}
	r.order = append(r.order, arrival{k, now})
	return nil
}

// forgotten reports whether a may have been seen and then forgotten for want of room.
func (r *replays) forgotten(a Announcement) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !a.Created.After(r.floor)
}

func (r *replays) expire(now time.Time) {
	for len(r.order) > 0 && now.Sub(r.order[0].at) > 2*Window {
		r.forgetOldest()
	}
}

func (r *replays) forgetOldest() {
	delete(r.seen, r.order[0].key)
	r.order = r.order[1:]
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
