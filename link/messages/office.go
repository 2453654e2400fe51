package messages

import (
	"context"
	"fmt"
	"sync"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/message"
)

var log = logs.For("link/messages")

// Store is what the package needs of [state.Store].
type Store interface {
	state.Messages
	RegisterObjects(ctx context.Context, runID uint64, objectIDs []string) error
	HoldObjects(ctx context.Context, runID uint64, objectIDs []string) error
	UnheldObjects(ctx context.Context, runID uint64, objectIDs []string) ([]string, error)
	RunHasObject(ctx context.Context, runID uint64, objectID string) (bool, error)
}

// Office is what a SuperLink's messages go through. A link has one. Its methods may be called
// concurrently.
type Office struct {
	store   Store
	objects objects.Store
	// gather knows objects by run: that one run has an object says nothing about another.
	gather *objects.Gatherer
	// fetches are the replies whose objects are being fetched.
	fetches *fetches

	mu sync.Mutex
	// byRun holds the keys that the gatherer has for each run.
	byRun map[uint64]map[string]struct{}
	runOf map[string]uint64
	// storing counts the objects that are being written for each run.
	storing map[uint64]*writes
	// due are keys that are complete on disk but not yet marked so.
	due map[string]struct{}
}

// incoming is a message on its way.
type incoming struct {
	message state.Message // all of it but its State
	objects []string      // of its tree, children before parents
}

// of makes the row for a message.
func of(m *message.Message) incoming {
	r := m.Routing()
	return incoming{objects: m.Objects(), message: state.Message{
		ID: r.ID, RunID: r.RunID, NodeID: m.Node(), ReplyTo: r.ReplyTo,
		Proto: m.Raw(), Tree: m.Tree(), CreatedAt: r.CreatedAt, TTL: r.TTL,
	}}
}

// New makes an Office; Resume must be called before it is used.
func New(store Store, objectStore objects.Store) *Office {
	return &Office{
		store: store, objects: objectStore, gather: objects.NewGatherer(), fetches: newFetches(),
		byRun: make(map[uint64]map[string]struct{}), runOf: make(map[string]uint64),
		due: make(map[string]struct{}), storing: make(map[uint64]*writes),
	}
}

// Resume takes up again the messages that were incomplete when the link stopped.
func (o *Office) Resume(ctx context.Context) error {
	messages, err := o.store.GatheringMessages(ctx)
	if err != nil {
		return fmt.Errorf("list incomplete messages: %w", err)
	}
	for _, m := range messages {
		ids, err := message.Objects(m.Tree)
		if err != nil {
			return fmt.Errorf("stored message %s: %w", m.ID, err)
		}
		if _, err := o.await(ctx, m.RunID, incoming{message: m, objects: ids}); err != nil {
			return err
		}
	}
	return nil
}

// DropRun forgets what a finished run was waiting for, and returns when nothing is being fetched
// or written for it any more: only then can the run's objects be released without leaving one
// behind.
func (o *Office) DropRun(ctx context.Context, runID uint64) error {
	if err := o.StopFetches(ctx, runID); err != nil {
		return err
	}
	o.mu.Lock()
	keys := o.byRun[runID]
	delete(o.byRun, runID)
	for key := range keys {
		delete(o.runOf, key)
		delete(o.due, key)
	}
	writing := o.storing[runID]
	o.mu.Unlock()
	for key := range keys {
		o.gather.Drop(key)
	}
	if writing == nil {
		return nil
	}
	select {
	case <-writing.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
