package keeping

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
)

// Spare releases objects of unfinished runs that no message needs any more, so that a training
// that takes weeks needs only the room of its last rounds. The most recently used ones stay, up
// to a bound: evaluation sends the model that training has sent, and need not transfer it again.
type Spare struct {
	Store SpareStore
	// Size and Remove are those of an object on the disk.
	Size   func(objectID string) (int64, error)
	Remove func(objectID string) error
	// Free is the room that is left on the disk. Spare objects take no more than that.
	Free func() (int64, error)
	// Keep bounds the spare objects of all runs, in bytes; 0: no bound but the disk.
	Keep int64
}

// Run looks from time to time while there are unfinished runs.
func (k *Spare) Run(ctx context.Context) error {
	started := k.Store.Bell().Watch(state.KeyPendingTask()) // every run begins with one
	defer started.Close()
	timer := time.NewTimer(spareEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		runs, err := k.look(ctx)
		if err != nil && ctx.Err() == nil {
			log.Error("could not release objects that no message needs; trying again", "err", err, "in", spareEvery)
		}
		if err == nil && runs == 0 {
			select {
			case <-started.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		timer.Reset(spareEvery)
	}
}

// look shares the room evenly between the unfinished runs, and returns how many there are.
func (k *Spare) look(ctx context.Context) (int, error) {
	runs, err := k.Store.UnfinishedRuns(ctx)
	if err != nil || len(runs) == 0 {
		return 0, err
	}
	room, err := k.Free()
	if err != nil {
		return len(runs), fmt.Errorf("find out how much room is left: %w", err)
	}
	if k.Keep > 0 {
		room = min(room, k.Keep)
	}
	before := time.Now().Add(-spareAge)
	var errs []error
	for _, run := range runs {
		err := k.trim(ctx, run.ID, before, room/int64(len(runs)))
		if !errors.Is(err, state.ErrRunFinished) && !errors.Is(err, state.ErrNotFound) { // Runs releases all objects of a finished run
			errs = append(errs, err)
		}
	}
	return len(runs), errors.Join(errs...)
}

// trim releases the spare objects of a run, least recently used first, until those that are
// left fit in room.
func (k *Spare) trim(ctx context.Context, runID uint64, before time.Time, room int64) error {
	spare, err := k.Store.SpareObjects(ctx, runID, before)
	if err != nil {
		return err
	}
	left, taken := len(spare), int64(0)
	for ; left > 0; left-- {
		size, err := k.Size(spare[left-1])
		if err != nil {
			size = 0 // it never came, or is damaged: it takes no room, and goes when its turn comes
		}
		if taken+size > room {
			break
		}
		taken += size
	}
	if left == 0 {
		return nil
	}
	log.Debug("objects that no message needs were released", "run", runID, "objects", left)
	return k.Store.ReleaseSpareObjects(ctx, runID, before, spare[:left], k.Remove)
}
