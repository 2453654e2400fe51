package messages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// writes are the objects that are being written for one run.
type writes struct {
	count int
	idle  chan struct{} // closed when count falls to 0
}

// prepare registers the objects of all messages, so that they stay, and finds out which of the
// messages the run has completely. A round's messages share most of their objects, each of which
// is looked at once.
func (o *Office) prepare(ctx context.Context, runID uint64, all ...incoming) ([]state.Message, error) {
	ids := objectsOf(all)
	if err := o.store.RegisterObjects(ctx, runID, ids); err != nil {
		return nil, fmt.Errorf("register objects of %d messages of run %d: %w", len(all), runID, err)
	}
	lacks, err := o.lacking(ctx, runID, ids)
	if err != nil {
		return nil, err
	}
	lacked := setOf(lacks)
	messages := make([]state.Message, len(all))
	for i, inc := range all {
		messages[i] = inc.message
		messages[i].State = state.Waiting
		if lacksAny(inc, lacked) {
			messages[i].State = state.Gathering
		}
	}
	return messages, nil
}

// lacking are the objects that have to be sent in the name of the run: those that are not there,
// and those that are there only for other runs. Nobody gets another run's objects by naming them.
func (o *Office) lacking(ctx context.Context, runID uint64, ids []string) ([]string, error) {
	unheld, err := o.store.UnheldObjects(ctx, runID, ids)
	if err != nil {
		return nil, fmt.Errorf("look up which objects run %d has: %w", runID, err)
	}
	var lacks []string
	for _, id := range ids {
		switch {
		case len(unheld) > 0 && unheld[0] == id: // they come in the order of ids
			unheld = unheld[1:]
		case o.objects.Has(id):
			continue
		}
		lacks = append(lacks, id)
	}
	return lacks, nil
}

// await has the gatherer watch stored messages, and returns what they lack, each object once. An
// object may have come since prepare, so messages that lack nothing are marked complete here.
func (o *Office) await(ctx context.Context, runID uint64, all ...incoming) (missing []string, err error) {
	sets := make([]objects.Gathering, len(all))
	for i, inc := range all {
		o.remember(runID, inc.message.ID)
		sets[i] = objects.Gathering{Key: inc.message.ID, IDs: scoped(runID, inc.objects)}
	}
	names, complete, err := o.gather.AddAll(sets, func(names []string) ([]string, error) {
		lacks, err := o.lacking(ctx, runID, unscoped(names))
		return scoped(runID, lacks), err
	})
	if err != nil {
		for _, inc := range all {
			o.forget(inc.message.ID)
		}
		return nil, fmt.Errorf("wait for objects of %d messages of run %d: %w", len(all), runID, err)
	}
	return unscoped(names), o.complete(ctx, complete)
}

// StoreObject durably stores an object that a message of the run is waiting for. stored is false
// if the run knows no such object or the bytes do not match the id; unless there is an error, body
// is read to its end.
func (o *Office) StoreObject(ctx context.Context, runID uint64, id string, size int64, body io.Reader) (stored bool, err error) {
	done := o.begin(runID)
	defer done()
	known, err := o.store.RunHasObject(ctx, runID, id)
	if err != nil {
		return false, fmt.Errorf("look up object %s in run %d: %w", id, runID, err)
	}
	if !known {
		_, err := io.Copy(io.Discard, body)
		return false, err
	}
	err = o.objects.Put(ctx, id, size, body)
	switch {
	case errors.Is(err, objects.ErrMismatch):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("store object %s: %w", id, err)
	}
	// This happens before the sender is told: it will not send again what it was told is stored.
	switch err := o.store.HoldObjects(ctx, runID, []string{id}); {
	case errors.Is(err, state.ErrRunFinished), errors.Is(err, state.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("store object %s: %w", id, err)
	}
	return true, o.complete(ctx, o.gather.Arrived(scope(runID, id)))
}

// Open opens an object in the name of a run. If the run knows the object but does not have it
// yet, Open waits for it up to hold. known is false if the run knows no such object, or if the
// object is damaged; a nil file of a known object means that it has not come.
func (o *Office) Open(ctx context.Context, runID uint64, id string, hold time.Duration) (known bool, file objects.File, err error) {
	there := func() (bool, error) {
		lacks, err := o.lacking(ctx, runID, []string{id})
		return len(lacks) == 0, err
	}
	is, err := there()
	if err != nil {
		return false, nil, err
	}
	if !is {
		if known, err = o.store.RunHasObject(ctx, runID, id); err != nil || !known {
			return false, nil, err
		}
		wait, cancel := context.WithTimeout(ctx, hold)
		defer cancel()
		if err := o.gather.Wait(wait, scope(runID, id), there); err != nil {
			if ctx.Err() == nil && wait.Err() != nil {
				err = nil
			}
			return true, nil, err
		}
	}
	file, err = o.objects.Open(id)
	switch {
	case errors.Is(err, objects.ErrCorrupt):
		log.Error("an object was damaged on disk and has been set aside", "run", runID, "object", id)
		return false, nil, nil
	case errors.Is(err, objects.ErrNotFound): // removed: the run has just ended
		return true, nil, nil
	case err != nil:
		return true, nil, fmt.Errorf("open object %s of run %d: %w", id, runID, err)
	}
	return true, file, nil
}

// complete makes messages visible. Those that could not be marked are marked by the next call:
// the sender, which got an error, repeats its push and comes here again.
func (o *Office) complete(ctx context.Context, keys []string) error {
	o.mu.Lock()
	for _, key := range keys {
		o.due[key] = struct{}{}
	}
	due := slices.Collect(maps.Keys(o.due))
	o.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	if err := o.store.MarkComplete(ctx, due); err != nil {
		return fmt.Errorf("complete %d messages: %w", len(due), err)
	}
	for _, key := range due {
		o.forget(key)
	}
	return nil
}

// begin records that an object is being written for the run, until done is called.
func (o *Office) begin(runID uint64) (done func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.storing[runID]
	if w == nil {
		w = &writes{idle: make(chan struct{})}
		o.storing[runID] = w
	}
	w.count++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if w.count--; w.count == 0 {
			close(w.idle)
			delete(o.storing, runID)
		}
	}
}

func (o *Office) remember(runID uint64, key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byRun[runID] == nil {
		o.byRun[runID] = make(map[string]struct{})
	}
	o.byRun[runID][key] = struct{}{}
	o.runOf[key] = runID
}

func (o *Office) forget(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	run := o.runOf[key]
	delete(o.runOf, key)
	delete(o.due, key)
	delete(o.byRun[run], key)
	if len(o.byRun[run]) == 0 {
		delete(o.byRun, run)
	}
}
