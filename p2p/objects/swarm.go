package objects

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Swarm finds peers that have objects while these are being fetched. Package p2p/swarm has
// one.
type Swarm interface {
	// Search looks for objects and tells the fetch what it finds, until it is closed.
	Search(runID uint64, ids []string, found Found) Search
}

// Found is a fetch, as a search sees it. Its methods may be called concurrently until Close
// of the search returns.
type Found interface {
	// Has says that a provider gives these objects.
	Has(from Provider, ids []string)
	// Lost says that a provider cannot be asked any more, unless Has names it again.
	Lost(from peer.ID)
	// Alive says that the hub has not forgotten this peer, which may have to wait long until
	// it or another can give it something.
	Alive()
}

// Search is a search under way. Got and Liar must not block, and not call Found.
type Search interface {
	// Got says that an object is in the store.
	Got(id string)
	// Liar says that a provider sent bytes that are not an object's.
	Liar(who peer.ID)
	// Close ends the search. After it nothing is told to Found.
	Close()
}

// swarming is what a fetch in a swarm has beyond others. Its sources[0] is the hub.
type swarming struct {
	swarm  Swarm
	byID   map[string]*item
	search Search // nil before and after the search; guarded by the fetch
}

// FetchSwarm is [Fetcher.Fetch] with the help of others: it asks the hub and the peers that
// the swarm names for what these are said to have, and rare objects first. Only the hub's word
// that an object is not to be had ends it, not that of another.
func (f *Fetcher) FetchSwarm(ctx context.Context, runID uint64, ids []string, hub Provider, swarm Swarm) error {
	items, err := f.missing(ids)
	if err != nil || len(items) == 0 {
		return err
	}
	// Receivers that begin at different ends have something for each other early.
	rand.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	j := newFetch(ctx, f, runID, items, []*source{{Provider: hub, has: make(map[*item]struct{}), proven: true}})
	j.swarm = &swarming{swarm: swarm, byID: make(map[string]*item, len(items))}
	for _, it := range items {
		j.swarm.byID[it.id] = it
	}
	if err := j.run(); err != nil {
		return fmt.Errorf("fetch %d objects of run %d in a swarm: %w", len(items), runID, err)
	}
	return nil
}

// search runs the swarm's search until the fetch has ended. After that no source is added.
func (j *fetch) search() {
	if j.swarm == nil {
		return
	}
	ids := make([]string, len(j.items))
	for i, it := range j.items {
		ids[i] = it.id
	}
	search := j.swarm.swarm.Search(j.runID, ids, (*found)(j))
	j.mu.Lock()
	j.swarm.search = search
	for it := range j.done { // before it was known whom to tell
		search.Got(it.id)
	}
	j.mu.Unlock()
	<-j.ctx.Done()
	j.mu.Lock()
	j.swarm.search = nil
	j.mu.Unlock()
	search.Close()
}

func (j *fetch) gotLocked(it *item) {
	if j.swarm != nil && j.swarm.search != nil {
		j.swarm.search.Got(it.id)
	}
}

func (j *fetch) liarLocked(src *source) {
	if j.swarm != nil && j.swarm.search != nil {
		j.swarm.search.Liar(src.Peer)
	}
}

// found is a fetch as its search sees it.
type found fetch

func (f *found) Alive() { (*fetch)(f).alive() }

func (f *found) Has(from Provider, ids []string) {
	j := (*fetch)(f)
	j.mu.Lock()
	defer j.mu.Unlock()
	src := j.sourceLocked(from)
	if src == nil || src.out != nil {
		return
	}
	for _, id := range ids {
		it := j.swarm.byID[id]
		if it == nil || j.done[it] {
			continue
		}
		if _, known := src.has[it]; !known {
			src.has[it] = struct{}{}
			it.holders++
		}
	}
	j.wakeLocked()
}

// sourceLocked finds or begins a source; nil for one that may not be asked.
func (j *fetch) sourceLocked(from Provider) *source {
	for _, src := range j.sources {
		if src.Peer == from.Peer {
			return src
		}
	}
	if j.ctx.Err() != nil || from.Peer == j.self || len(j.sources) > maxSources || j.blamed.has(from.Peer) {
		return nil
	}
	// Not proven: a peer may be anybody, and what it sends takes its receiver's line.
	src := &source{Provider: from, has: make(map[*item]struct{}), streams: swarmStreams}
	j.sources = append(j.sources, src)
	j.start(src)
	return src
}

func (f *found) Lost(from peer.ID) {
	j := (*fetch)(f)
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, src := range j.sources {
		if src.Peer != from {
			continue
		}
		for it := range src.has {
			src.hasNotLocked(it)
			if it.pinnedTo == src {
				it.pinnedTo = nil
			}
		}
	}
	j.wakeLocked()
}

func (src *source) hasNotLocked(it *item) {
	if _, has := src.has[it]; has {
		delete(src.has, it)
		it.holders--
	}
}

// rarestFirstLocked brings forward what few sources have: whoever gets that first has
// something to give, and it is not lost with the next who leaves.
func (j *fetch) rarestFirstLocked(src *source) {
	if src.has != nil {
		slices.SortStableFunc(j.queue, func(a, b *item) int { return cmp.Compare(a.holders, b.holders) })
	}
}
