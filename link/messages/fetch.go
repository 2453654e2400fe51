package messages

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// Fetch has a node show objects of a run, and stores those that are not there. It calls shown
// for each object that the node has shown, from any goroutine.
type Fetch func(ctx context.Context, runID uint64, ids []string, shown func(id string)) error

var errUnderway = errors.New("the reply is being fetched")

// StopFetches gives up the replies of a run that are being fetched, and returns when none is
// being fetched any more.
func (o *Office) StopFetches(ctx context.Context, runID uint64) error {
	return o.fetches.stop(ctx, runID)
}

// fetchReply returns nil once the reply and all its objects are durable.
func (o *Office) fetchReply(ctx context.Context, node state.Node, inc incoming, runtime time.Duration, fetch Fetch) error {
	m := inc.message
	m.State, m.Brought = state.Waiting, inc.objects
	ctx, release, first := o.fetches.begin(ctx, m.ReplyTo, m.RunID)
	if !first {
		return errUnderway
	}
	// This happens before the acknowledgement: the node may repeat itself as soon as it has that,
	// and the repetition must not be taken for a reply that is still on its way.
	defer release()
	if known, err := o.store.Message(ctx, m.ID); err == nil && known.ReplyTo == m.ReplyTo && known.State != state.Gathering {
		return nil // stored before; the acknowledgement was lost
	}
	err := o.store.RegisterObjects(ctx, m.RunID, inc.objects)
	if err == nil {
		f := fetcher{office: o, node: node, inc: inc, fetch: fetch}
		err = f.all(ctx)
	}
	if err == nil {
		err = o.store.InsertReply(ctx, m, runtime)
	}
	if err != nil && errors.Is(context.Cause(ctx), errRunFinished) {
		return errRunFinished
	}
	if err != nil {
		return fmt.Errorf("store reply %s: %w", m.ID, err)
	}
	return nil
}

// fetcher brings the objects of one reply.
type fetcher struct {
	office *Office
	node   state.Node
	inc    incoming
	fetch  Fetch
}

// all has the node show the objects that the run does not hold, as many times as it takes while
// ctx lives. A transfer continues where it stopped.
func (f *fetcher) all(ctx context.Context) error {
	pause := retry.Between(fetchPauseFirst, fetchPauseMost)
	for {
		missing, err := f.missing(ctx)
		if err != nil || len(missing) == 0 {
			return err
		}
		err = f.once(ctx, missing)
		if err == nil {
			return nil
		}
		if objects.Permanent(err) {
			return final{fmt.Errorf("it could not deliver its objects: %w", err)}
		}
		log.Info("objects of a reply did not arrive; trying again", "node", f.node.ID, "run", f.inc.message.RunID,
			"message", f.inc.message.ReplyTo, "reply", f.inc.message.ID, "err", err)
		if !pause.Wait(ctx) {
			return fmt.Errorf("fetch reply %s: %w", f.inc.message.ID, context.Cause(ctx))
		}
	}
}

// missing are the objects that the run does not hold, or that are gone.
func (f *fetcher) missing(ctx context.Context) ([]string, error) {
	missing, err := f.office.store.UnheldObjects(ctx, f.inc.message.RunID, f.inc.objects)
	if err != nil {
		return nil, fmt.Errorf("find out what reply %s lacks: %w", f.inc.message.ID, err)
	}
	if len(missing) == len(f.inc.objects) {
		return missing, nil
	}
	unheld := setOf(missing)
	for _, id := range f.inc.objects {
		if _, listed := unheld[id]; !listed && !f.office.objects.Has(id) {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// once makes one attempt. What the node has shown is recorded now and then, so that it need not
// show it again after a broken connection or a restart of the link.
func (f *fetcher) once(ctx context.Context, ids []string) error {
	runID := f.inc.message.RunID
	var mu sync.Mutex
	var shown []string
	note := func(ctx context.Context) error {
		mu.Lock()
		ids := shown
		shown = nil
		mu.Unlock()
		if len(ids) == 0 {
			return nil
		}
		return f.office.store.HoldObjects(ctx, runID, ids)
	}
	noting, stop := context.WithCancel(ctx)
	var notes sync.WaitGroup
	notes.Go(func() {
		ticker := time.NewTicker(noteEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-noting.Done():
				return
			}
			if err := note(noting); err != nil && noting.Err() == nil {
				log.Warn("what a node has sent could not be recorded", "node", f.node.ID, "run", runID, "err", err)
			}
		}
	})
	err := f.fetch(ctx, runID, ids, func(id string) {
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, id)
	})
	stop()
	notes.Wait()
	if err != nil {
		err = errors.Join(err, note(context.WithoutCancel(ctx)))
	}
	return err // if it is nil, InsertReply records them all
}
