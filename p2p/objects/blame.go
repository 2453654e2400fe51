package objects

import (
	"errors"
	"fmt"
)

// commit makes a received object durable beside the next ones, so that many small ones
// share fsyncs.
func (j *fetch) commit(t taken, src *source) {
	j.commits.Go(func() error {
		err := t.partial.Commit(j.ctx)
		_ = t.partial.Close() // after an error that left it open
		switch {
		case err == nil:
			j.opts.Arrived(t.id)
			j.came(t.id)
			j.right(src)
			j.finish(t.item)
		case errors.Is(err, ErrMismatch):
			j.wrong(t.item, src)
		default:
			j.end(err)
		}
		return nil
	})
}

// right notes that a source has given an object as it should be.
func (j *fetch) right(src *source) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if src.onTrial {
		src.proven, src.onTrial = true, false
		j.wakeLocked()
	}
}

// wrong deals with bytes that did not hash to the id.
func (j *fetch) wrong(it *item, src *source) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if it.mixed {
		it.pinned = true
	} else {
		j.strikeLocked(it, src)
	}
	it.sole, it.mixed, it.pinnedTo = nil, false, nil
	src.onTrial = false
	j.queue = append([]*item{it}, j.queue...)
	j.wakeLocked()
}

// strikeLocked holds wrong bytes against a source. The first time it may look at its copy
// and try again if nobody else can be asked: its disk may have failed it.
func (j *fetch) strikeLocked(it *item, src *source) {
	src.strikes++
	it.suspect = src
	why := fmt.Errorf("peer %s sent bytes that are not the object's: %w", src.Peer, ErrMismatch)
	src.last = why
	log.Warn("a peer sent bytes that are not the object's", "peer", src.Peer, "object", it.id, "times", src.strikes)
	if src.out != nil || src.strikes == 1 && !j.othersLocked(it, src) {
		return
	}
	j.blamed.add(src.Peer)
	src.out = why
	j.liarLocked(src)
	for _, it := range j.items {
		if it.pinnedTo == src {
			it.pinnedTo = nil
		}
		j.hopeLocked(it)
	}
}

// othersLocked reports whether the item may be had from somebody else.
func (j *fetch) othersLocked(it *item, src *source) bool {
	if j.swarm != nil {
		// Peers come and go; the hub alone can tell that an object is not to be had.
		hub := j.sources[0]
		return hub != src && hub.out == nil && it.no[hub] == nil
	}
	for _, other := range j.sources {
		if other != src && other.out == nil && it.no[other] == nil {
			return true
		}
	}
	return false
}

// refused notes that a source does not give an item.
func (j *fetch) refused(it *item, src *source, why error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	it.pinnedTo = nil
	if j.swarm != nil && src != j.sources[0] {
		src.hasNotLocked(it) // until it says again that it has it
		return
	}
	it.refuse(src, why)
	j.hopeLocked(it)
}

// hopeLocked ends the fetch if nobody can give the item.
func (j *fetch) hopeLocked(it *item) {
	if j.done[it] || j.othersLocked(it, nil) {
		return
	}
	var reasons []error
	for _, src := range j.sources {
		why := it.no[src]
		if why == nil {
			why = src.out
		}
		reasons = append(reasons, fmt.Errorf("peer %s: %w", src.Peer, why))
	}
	j.end(fmt.Errorf("object %s: %w", it.id, errors.Join(reasons...)))
}
