package stock

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// replayGuard remembers the signatures that were used, for as long as their age allows them to be
// used at all. It is bounded by [maxSeen] for each key: beyond that the oldest are forgotten, and
// from then on everything that was signed no later than they were is refused.
//
// Only keys of registered nodes come here, so the number of keys is bounded, too.
type replayGuard struct {
	mu      sync.Mutex
	byKey   map[[sha256.Size]byte]*history
	sweepAt int // how many keys trigger the next sweep
}

// history is that of one key.
type history struct {
	seen  []mark    // the earliest signed first
	floor time.Time // a signature made no later cannot be known to be new
}

// mark stands for a signature.
type mark struct {
	at    time.Time
	nonce [16]byte // a hash: an honest signer's random value cannot be made to collide
}

func newReplayGuard() *replayGuard {
	return &replayGuard{byKey: make(map[[sha256.Size]byte]*history), sweepAt: minSweep}
}

// use records a valid signature that was made at a time; it returns false if the signature was, or
// may have been, used before.
func (g *replayGuard) use(key string, at time.Time, nonce []byte, now time.Time) (fresh bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := sha256.Sum256([]byte(key))
	h := g.byKey[id]
	if h == nil {
		g.sweep(now)
		h = &history{}
		g.byKey[id] = h
	}
	sum := sha256.Sum256(nonce)
	return h.use(mark{at: at, nonce: [16]byte(sum[:])}, now)
}

func (h *history) use(m mark, now time.Time) (fresh bool) {
	h.forget(now)
	if !h.floor.IsZero() && !m.at.After(h.floor) {
		return false
	}
	place, known := slices.BinarySearchFunc(h.seen, m, compareMarks)
	if known {
		return false
	}
	h.seen = slices.Insert(h.seen, place, m)
	if len(h.seen) > maxSeen {
		h.floor = h.seen[0].at
		h.seen = slices.Delete(h.seen, 0, 1)
	}
	return true
}

// forget drops the marks of signatures that are too old to be used.
func (h *history) forget(now time.Time) {
	living := slices.IndexFunc(h.seen, func(m mark) bool { return now.Sub(m.at) < signatureAge })
	if living < 0 {
		living = len(h.seen)
	}
	h.seen = slices.Delete(h.seen, 0, living)
}

func compareMarks(a, b mark) int {
	if order := a.at.Compare(b.at); order != 0 {
		return order
	}
	return bytes.Compare(a.nonce[:], b.nonce[:])
}

// sweep drops keys that have not been used for long, once there are twice as many as after the last
// sweep.
func (g *replayGuard) sweep(now time.Time) {
	if len(g.byKey) < g.sweepAt {
		return
	}
	for id, h := range g.byKey {
		if h.forget(now); len(h.seen) == 0 {
			delete(g.byKey, id)
		}
	}
	g.sweepAt = max(minSweep, 2*len(g.byKey))
}
