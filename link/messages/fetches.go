package messages

import (
	"context"
	"errors"
	"sync"
)

var errRunFinished = errors.New("the run is finished")

// fetches are the replies that are being stored: one for an instruction at most, and all of a
// run's can be stopped together.
type fetches struct {
	mu   sync.Mutex
	open map[string]*fetch // by instruction id
}

type fetch struct {
	runID  uint64
	cancel context.CancelCauseFunc
	done   chan struct{}
}

func newFetches() *fetches { return &fetches{open: make(map[string]*fetch)} }

// begin opens a fetch, unless the instruction already has one. The caller must call release.
func (f *fetches) begin(parent context.Context, instructionID string, runID uint64) (ctx context.Context, release func(), first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[instructionID] != nil {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancelCause(parent)
	opened := &fetch{runID: runID, cancel: cancel, done: make(chan struct{})}
	f.open[instructionID] = opened
	return ctx, func() {
		cancel(nil)
		f.mu.Lock()
		delete(f.open, instructionID)
		f.mu.Unlock()
		close(opened.done)
	}, true
}

// stop ends the fetches of a run and waits until they have ended.
func (f *fetches) stop(ctx context.Context, runID uint64) error {
	f.mu.Lock()
	var stopped []*fetch
	for _, open := range f.open {
		if open.runID == runID {
			open.cancel(errRunFinished)
			stopped = append(stopped, open)
		}
	}
	f.mu.Unlock()
	for _, open := range stopped {
		select {
		case <-open.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
