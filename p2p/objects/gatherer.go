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

// Gathering is a set of objects that is waited for in the name of a key.
type Gathering struct {
	Key string
	IDs []string
}

// Add is [Gatherer.AddAll] for one set, which is complete when nothing is missing.
func (g *Gatherer) Add(key string, ids []string, lacking func(ids []string) ([]string, error)) (missing []string, err error) {
	missing, _, err = g.AddAll([]Gathering{{key, ids}}, lacking)
	return missing, err
}

// AddAll waits for sets of objects, and tells which objects are not there, in the order of
// their first mention and each once; lacking is asked for that, about all of them at once.
// The keys of sets that lack nothing are returned and forgotten. Earlier sets of the keys
// are replaced. After an error ([ErrTooMany], or what lacking failed with) no set is waited for.
func (g *Gatherer) AddAll(sets []Gathering, lacking func(ids []string) ([]string, error)) (missing, complete []string, err error) {
	ids, err := g.note(sets)
	if err != nil {
		return nil, nil, err
	}
	lacks, err := lacking(ids)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.dropAllLocked(sets)
		return nil, nil, err
	}
	lacked := make(map[string]struct{}, len(lacks))
	for _, id := range lacks {
		lacked[id] = struct{}{}
	}
	for _, set := range sets {
		for _, id := range set.IDs {
			if _, still := lacked[id]; !still {
				g.settleLocked(set.Key, id)
			}
		}
		if len(g.sets[set.Key]) == 0 {
			delete(g.sets, set.Key)
			complete = append(complete, set.Key)
		}
	}
	listed := make(map[string]struct{})
	for _, set := range sets {
		for _, id := range set.IDs {
			// What has arrived meanwhile is not missing, though a set of somebody else may
			// not know it yet.
			if _, lacks := g.sets[set.Key][id]; !lacks {
				continue
			}
			if _, twice := listed[id]; !twice {
				listed[id] = struct{}{}
				missing = append(missing, id)
			}
		}
	}
	return missing, complete, nil
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

// note takes down sets as if all of them were missing, and lists their ids, each once.
func (g *Gatherer) note(sets []Gathering) (ids []string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	listed := make(map[string]struct{})
	for _, set := range sets {
		g.dropLocked(set.Key)
		if g.count+len(set.IDs) > maxGathering {
			g.dropAllLocked(sets)
			return nil, fmt.Errorf("%w: %d, and %d more are asked for", ErrTooMany, g.count, len(set.IDs))
		}
		lacks := make(map[string]struct{}, len(set.IDs))
		for _, id := range set.IDs {
			lacks[id] = struct{}{}
			if g.lackers[id] == nil {
				g.lackers[id] = make(map[string]struct{}, 1)
			}
			g.lackers[id][set.Key] = struct{}{}
			if _, twice := listed[id]; !twice {
				listed[id] = struct{}{}
				ids = append(ids, id)
			}
		}
		g.sets[set.Key] = lacks
		g.count += len(lacks)
	}
	return ids, nil
}

func (g *Gatherer) dropAllLocked(sets []Gathering) {
	for _, set := range sets {
		g.dropLocked(set.Key)
	}
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
