package objects

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// fetch is one Fetch under way. Each source has some workers; each worker takes a few
// items, receives what fits on one stream, and gives the rest back. An item's life:
//
//	queued ──take──► receiving ──► committing ──► done
//	   ▲  │ ▲            │             │
//	   │  ▼ └────────────┴─────────────┘ stream ended or failed; wrong bytes
//	   shared (another fetch receives it)
type fetch struct {
	*Fetcher
	ctx     context.Context // ends with the fetch
	end     context.CancelCauseFunc
	runID   uint64
	items   []*item
	workers sync.WaitGroup
	commits errgroup.Group  // objects that are being made durable
	came    func(id string) // is told of what this fetch has brought itself
	swarm   *swarming       // nil: what the sources are is known from the start

	mu      sync.Mutex
	sources []*source
	queue   []*item
	shared  []*item
	done    map[*item]bool
	moved   time.Time     // when something last came
	waiting int           // workers that wait for another fetch, which has a patience of its own
	changed chan struct{} // closed and replaced when a worker may find work
}

// errDone ends the context of a fetch that has brought everything.
var errDone = errors.New("all objects are here")

func newFetch(ctx context.Context, f *Fetcher, runID uint64, items []*item, sources []*source) *fetch {
	j := &fetch{
		Fetcher: f, runID: runID, items: items, sources: sources, queue: append([]*item(nil), items...),
		came: func(string) {}, done: make(map[*item]bool, len(items)), moved: time.Now(), changed: make(chan struct{}),
	}
	j.ctx, j.end = context.WithCancelCause(ctx)
	j.commits.SetLimit(maxCommits)
	return j
}

// run returns when all is done or nothing more can be.
func (j *fetch) run() error {
	j.workers.Go(j.watch)
	for _, src := range j.sources {
		j.start(src)
	}
	j.search()
	j.workers.Wait()
	_ = j.commits.Wait() // they report to finish and wrong
	if cause := context.Cause(j.ctx); !errors.Is(cause, errDone) {
		return cause
	}
	return nil
}

// start has workers ask a source.
func (j *fetch) start(src *source) {
	if src.streams == 0 {
		src.streams = j.opts.Streams
	}
	for range min(src.streams, len(j.items)) {
		j.workers.Go(func() { j.work(src) })
	}
}

// watch ends the fetch when its patience is over.
func (j *fetch) watch() {
	for {
		j.mu.Lock()
		if j.waiting > 0 {
			j.moved = time.Now()
		}
		left := time.Until(j.moved.Add(j.opts.Patience))
		j.mu.Unlock()
		if left <= 0 {
			j.end(j.stalled())
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-j.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// stalled says what each source last failed with.
func (j *fetch) stalled() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := fmt.Errorf("%w: nothing came for %v", ErrStalled, j.opts.Patience)
	for _, src := range j.sources {
		if src.last != nil {
			err = fmt.Errorf("%w; peer %s: %w", err, src.Peer, src.last)
		}
	}
	return err
}

// alive notes that something came.
func (j *fetch) alive() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moved = time.Now()
}

func (j *fetch) wait(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting += n
	j.moved = time.Now()
}

// finish notes that an object is in the store.
func (j *fetch) finish(it *item) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moved = time.Now()
	j.done[it] = true
	j.gotLocked(it)
	if len(j.done) == len(j.items) {
		j.end(errDone)
	}
}
