package keeping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/gossip"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Runs sees runs begin and end: it announces both, and when a run has ended it clears away
// everything that was kept for it.
//
//	UnfinishedRuns has it ──► announced ──► gone from there, or still holds objects
//	                                          │
//	          nodes cancel ─► messages drop ─► forgotten ─► objects released
//
// The steps are repeated after a crash, for runs that still hold objects.
type Runs struct {
	Store RunStore
	// Announce tells the nodes; if it fails, that costs them only time.
	Announce func(ctx context.Context, kind gossip.Kind, run state.Run)
	// End does the steps of the drawing except the last. It may be called again.
	End func(ctx context.Context, run state.Run) error
	// Remove takes an object off the disk.
	Remove func(objectID string) error

	active map[uint64]struct{}
	slots  *semaphore.Weighted
	wait   sync.WaitGroup

	mu     sync.Mutex
	ending map[uint64]struct{}
}

// Run keeps runs until ctx ends, and returns when no clean-up is running any more.
func (k *Runs) Run(ctx context.Context) error {
	k.active, k.ending = make(map[uint64]struct{}), make(map[uint64]struct{})
	k.slots = semaphore.NewWeighted(maxFinishing)
	defer k.wait.Wait()
	watch := k.Store.Bell().Watch(state.KeyRunEnds(), state.KeyPendingTask())
	defer watch.Close()
	for {
		if err := retry.Do(ctx, log, "look at the runs", func() error { return k.look(ctx) }); err != nil {
			return err
		}
		select {
		case <-watch.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look compares what the store says with what was seen before.
func (k *Runs) look(ctx context.Context) error {
	unfinished, err := k.Store.UnfinishedRuns(ctx)
	if err != nil {
		return fmt.Errorf("list unfinished runs: %w", err)
	}
	holding, err := k.Store.FinishedRunsHoldingObjects(ctx)
	if err != nil {
		return fmt.Errorf("list finished runs: %w", err)
	}
	now := make(map[uint64]struct{}, len(unfinished))
	for _, run := range unfinished {
		now[run.ID] = struct{}{}
		if _, seen := k.active[run.ID]; !seen {
			k.Announce(ctx, gossip.Started, run)
		}
	}
	for id := range k.active {
		if _, still := now[id]; !still {
			holding = append(holding, id)
		}
	}
	k.active = now
	slices.Sort(holding)
	for _, id := range slices.Compact(holding) {
		k.finish(ctx, id)
	}
	return nil
}

// finish ends a run in the background, once.
func (k *Runs) finish(ctx context.Context, runID uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, already := k.ending[runID]; already {
		return
	}
	k.ending[runID] = struct{}{}
	k.wait.Go(func() {
		defer func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			delete(k.ending, runID)
		}()
		_ = retry.Do(ctx, log.With("run", runID), "clean up after a run", func() error { return k.finishOnce(ctx, runID) })
	})
}

func (k *Runs) finishOnce(ctx context.Context, runID uint64) error {
	run, err := k.Store.Run(ctx, runID)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up run %d: %w", runID, err)
	}
	kind := gossip.Finished
	if run.PrimaryTask.SubStatus == task.Stopped {
		kind = gossip.Stopped
	}
	k.Announce(ctx, kind, run)
	if err := k.End(ctx, run); err != nil {
		return fmt.Errorf("end run %d: %w", runID, err)
	}
	// Nodes have been told; removing files is not urgent and must not fill the disk's queue.
	if err := k.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer k.slots.Release(1)
	if err := k.Store.ReleaseObjects(ctx, runID, k.Remove); err != nil {
		return fmt.Errorf("release the objects of run %d: %w", runID, err)
	}
	return nil
}
