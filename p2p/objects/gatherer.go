package objects

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrTooMany: a Gatherer waits for too many objects already.
var ErrTooMany = errors.New("too many objects are waited for")

// Gatherer keeps account of which sets of objects are not complete yet: messages whose
// objects are still being pushed. What an id is, and when it is there, is its user's
// business: a link's ids name a run and an object. It is memory only; whoever uses it adds
// the sets again after a restart. Methods may be called concurrently.
//
// No completion is lost, and one may be told twice: Add asks what is there only after it
// has noted what to wait for, so an object that comes at that moment is seen by Add, by
// Arrived, or by both.
type Gatherer struct {
	mu      sync.Mutex
	count   int                            // ids in sets
	sets    map[string]map[string]struct{} // what a key still lacks
	lackers map[string]map[string]struct{} // which keys lack an id
	waits   map[string]*arrival            // by id
}

// arrival is what Wait waits for.
type arrival struct {
	came    chan struct{}
	waiters int
}

// NewGatherer makes an empty account.
func NewGatherer() *Gatherer {
	return &Gatherer{
		sets:    make(map[string]map[string]struct{}),
		lackers: make(map[string]map[string]struct{}),
		waits:   make(map[string]*arrival),
	}
}

// Add waits for ids in the name of key, and tells which of them are not there, in the
// order of ids and each once; lacking is asked for that. If none is missing, the set is
// complete and forgotten. An earlier set of the key is replaced. [ErrTooMany], or what
// lacking failed with.
func (g *Gatherer) Add(key string, ids []string, lacking func(ids []string) ([]string, error)) (missing []string, err error) {
	if err := g.note(key, ids); err != nil {
		return nil, err
	}
	lacks, err := lacking(ids)
	if err != nil {
		g.Drop(key)
		return nil, err
	}
	lacked := make(map[string]struct{}, len(lacks))
	for _, id := range lacks {
		lacked[id] = struct{}{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		if _, still := lacked[id]; !still {
			g.settleLocked(key, id)
		}
	}
	listed := make(map[string]struct{}, len(g.sets[key]))
	for _, id := range ids {
		_, lacks := g.sets[key][id]
		if _, twice := listed[id]; lacks && !twice {
			listed[id] = struct{}{}
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		delete(g.sets, key)
	}
	return missing, nil
}

// Arrived notes that an object is in the store, and tells which keys have become complete
// with it. They are forgotten.
func (g *Gatherer) Arrived(id string) (complete []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if wait := g.waits[id]; wait != nil {
		close(wait.came)
		delete(g.waits, id)
	}
	for key := range g.lackers[id] {
		if g.settleLocked(key, id) {
			complete = append(complete, key)
		}
	}
	return complete
}

// Drop forgets a key.
func (g *Gatherer) Drop(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropLocked(key)
}

// Wait returns nil when the object is there, as is says, or the cause of ctx's end. It
// needs Arrived to be called for what comes.
func (g *Gatherer) Wait(ctx context.Context, id string, is func() (bool, error)) error {
	g.mu.Lock()
	wait := g.waits[id]
	if wait == nil {
		wait = &arrival{came: make(chan struct{})}
		g.waits[id] = wait
	}
	wait.waiters++
	g.mu.Unlock()
	defer g.leave(id, wait)
	if there, err := is(); there || err != nil {
		return err
	}
	select {
	case <-wait.came:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for object %s: %w", id, context.Cause(ctx))
	}
}

// leave removes a wait that nobody needs any more.
func (g *Gatherer) leave(id string, wait *arrival) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if wait.waiters--; wait.waiters == 0 && g.waits[id] == wait {
		delete(g.waits, id)
	}
}

// note takes down a set as if all of it were missing.
func (g *Gatherer) note(key string, ids []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropLocked(key)
	if g.count+len(ids) > maxGathering {
		return fmt.Errorf("%w: %d, and %d more are asked for", ErrTooMany, g.count, len(ids))
	}
	set := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
		if g.lackers[id] == nil {
			g.lackers[id] = make(map[string]struct{}, 1)
		}
		g.lackers[id][key] = struct{}{}
	}
	g.sets[key] = set
	g.count += len(set)
	return nil
}

// settleLocked takes an id off a set, and forgets and reports a set that is complete.
func (g *Gatherer) settleLocked(key, id string) (complete bool) {
	set, known := g.sets[key]
	if !known {
		return false
	}
	if _, lacks := set[id]; lacks {
		delete(set, id)
		g.count--
		g.unlinkLocked(key, id)
	}
	if len(set) > 0 {
		return false
	}
	delete(g.sets, key)
	return true
}

func (g *Gatherer) dropLocked(key string) {
	for id := range g.sets[key] {
		g.count--
		g.unlinkLocked(key, id)
	}
	delete(g.sets, key)
}

func (g *Gatherer) unlinkLocked(key, id string) {
	delete(g.lackers[id], key)
	if len(g.lackers[id]) == 0 {
		delete(g.lackers, id)
	}
}
