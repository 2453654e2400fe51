package traffic

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/internal/logs"
)

var log = logs.For("link/traffic")

// Store is what a meter needs of a state.Store.
type Store interface {
	AddRunStats(ctx context.Context, runID uint64, sent, received uint64, clientApp time.Duration) error
}

// Meter counts what has moved for each run since it was last added to the run's statistics. Its
// methods may be called concurrently.
type Meter struct {
	store Store
	mu    sync.Mutex
	byRun map[uint64]moved
}

// moved bytes, as the run sees them.
type moved struct{ sent, received uint64 }

// New makes a meter that has counted nothing yet.
func New(store Store) *Meter { return &Meter{store: store, byRun: make(map[uint64]moved)} }

// Sent counts bytes that a node was sent.
func (m *Meter) Sent(runID uint64, bytes int64) { m.count(runID, moved{sent: uint64(bytes)}) }

// Received counts bytes that a node has sent.
func (m *Meter) Received(runID uint64, bytes int64) { m.count(runID, moved{received: uint64(bytes)}) }

// Keep adds what has moved for a run to its statistics.
func (m *Meter) Keep(ctx context.Context, runID uint64) {
	m.mu.Lock()
	counted := m.byRun[runID]
	delete(m.byRun, runID)
	m.mu.Unlock()
	if counted == (moved{}) {
		return
	}
	if err := m.store.AddRunStats(ctx, runID, counted.sent, counted.received, 0); err != nil {
		log.Warn("bytes of a run were not counted", "run", runID, "err", err)
	}
}

// KeepAll is Keep for every run that something has moved for.
func (m *Meter) KeepAll(ctx context.Context) {
	m.mu.Lock()
	runs := slices.Collect(maps.Keys(m.byRun))
	m.mu.Unlock()
	for _, id := range runs {
		m.Keep(ctx, id)
	}
}

func (m *Meter) count(runID uint64, more moved) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := m.byRun[runID]
	m.byRun[runID] = moved{sum.sent + more.sent, sum.received + more.received}
}
