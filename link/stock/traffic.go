package stock

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/rhizome-fl/rhizome/link/state"
)

// traffic counts the content bytes that moved for each run since they were last added to
// the run's statistics: once a message, not once an object. It has no more entries than
// there are unfinished runs, and finished ones that some node has not noticed.
type traffic struct {
	mu    sync.Mutex
	byRun map[uint64]moved
}

// moved bytes, as the run sees them.
type moved struct{ sent, received int64 }

func newTraffic() *traffic { return &traffic{byRun: make(map[uint64]moved)} }

func (t *traffic) add(runID uint64, m moved) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.byRun[runID]
	t.byRun[runID] = moved{sum.sent + m.sent, sum.received + m.received}
}

// keep adds what moved for a run to its statistics.
func (t *traffic) keep(ctx context.Context, store state.Store, runID uint64) {
	t.mu.Lock()
	m := t.byRun[runID]
	delete(t.byRun, runID)
	t.mu.Unlock()
	if m == (moved{}) {
		return
	}
	if err := store.AddRunStats(ctx, runID, uint64(m.sent), uint64(m.received), 0); err != nil {
		log.Warn("bytes of a run were not counted", "run", runID, "err", err)
	}
}

func (t *traffic) keepAll(ctx context.Context, store state.Store) {
	t.mu.Lock()
	runs := slices.Collect(maps.Keys(t.byRun))
	t.mu.Unlock()
	for _, id := range runs {
		t.keep(ctx, store, id)
	}
}
