package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"google.golang.org/protobuf/proto"
)

// Store is what the package needs of [state.Store].
type Store interface {
	RegisterObjects(ctx context.Context, runID uint64, objectIDs []string) error
	RunHasObject(ctx context.Context, runID uint64, objectID string) (bool, error)
	InsertInstructions(ctx context.Context, msgs []state.Message) ([]error, error)
	InsertReply(ctx context.Context, m state.Message, runtime time.Duration) error
	MarkComplete(ctx context.Context, messageIDs []string) error
	GatheringMessages(ctx context.Context) ([]state.Message, error)
}

// Gatherer keeps count of what is missing: *objects.Gatherer.
type Gatherer interface {
	// Add waits for ids in the name of key, and tells which of them are not there.
	Add(key string, ids []string) (missing []string, err error)
	// Arrived tells which keys have become complete with this object.
	Arrived(id string) (complete []string)
	// Drop forgets a key.
	Drop(key string)
	// Wait returns when the object is there.
	Wait(ctx context.Context, id string) error
}

// Intake is the one of a SuperLink. Its methods may be called concurrently.
type Intake struct {
	store   Store
	objects objects.Store
	gather  Gatherer

	mu sync.Mutex
	// byRun holds the keys that the gatherer has for each run.
	byRun map[uint64]map[string]struct{}
	runOf map[string]uint64
	// storing counts the objects that are being written for each run.
	storing map[uint64]*writes
	// due are keys that are complete on disk and not yet marked so.
	due map[string]struct{}
}

// Incoming is a message on its way.
type Incoming struct {
	// Message with everything but its State.
	Message state.Message
	// ObjectIDs of its tree, children before parents.
	ObjectIDs []string
}

// New makes an Intake; call Resume before it is used.
func New(store Store, objectStore objects.Store, gather Gatherer) *Intake {
	return &Intake{
		store: store, objects: objectStore, gather: gather,
		byRun: make(map[uint64]map[string]struct{}), runOf: make(map[string]uint64),
		due: make(map[string]struct{}), storing: make(map[uint64]*writes),
	}
}

// writes are the objects that are being written for one run.
type writes struct {
	count int
	idle  chan struct{} // closed when count falls to 0
}

// Unpack makes an Incoming of the routing message and its tree. An error says what is
// wrong with the tree.
func Unpack(msg *flwrpb.Message, tree *flwrpb.ObjectTree, nodeID uint64) (Incoming, error) {
	ids, err := object.PostOrder(tree, object.DefaultTreeLimits)
	if err != nil {
		return Incoming{}, fmt.Errorf("object tree: %w", err)
	}
	md := msg.GetMetadata()
	if tree.GetObjectId() != md.GetMessageId() {
		return Incoming{}, fmt.Errorf("object tree is of %q, not of message %q", tree.GetObjectId(), md.GetMessageId())
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(msg)
	if err != nil {
		return Incoming{}, fmt.Errorf("encode message: %w", err)
	}
	encodedTree, err := proto.MarshalOptions{Deterministic: true}.Marshal(tree)
	if err != nil {
		return Incoming{}, fmt.Errorf("encode object tree: %w", err)
	}
	return Incoming{
		Message: state.Message{
			ID: md.GetMessageId(), RunID: md.GetRunId(), NodeID: nodeID, ReplyTo: md.GetReplyToMessageId(),
			Proto: encoded, Tree: encodedTree, CreatedAt: md.GetCreatedAt(), TTL: md.GetTtl(),
		},
		ObjectIDs: ids,
	}, nil
}

// Resume takes up the messages that were incomplete when the link stopped.
func (in *Intake) Resume(ctx context.Context) error {
	messages, err := in.store.GatheringMessages(ctx)
	if err != nil {
		return fmt.Errorf("list incomplete messages: %w", err)
	}
	for _, m := range messages {
		var tree flwrpb.ObjectTree
		if err := proto.Unmarshal(m.Tree, &tree); err != nil {
			return fmt.Errorf("object tree of stored message %s: %w", m.ID, err)
		}
		ids, err := object.PostOrder(&tree, object.DefaultTreeLimits)
		if err != nil {
			return fmt.Errorf("object tree of stored message %s: %w", m.ID, err)
		}
		if _, err := in.await(ctx, Incoming{Message: m, ObjectIDs: ids}); err != nil {
			return err
		}
	}
	return nil
}

// Instructions stores messages of one run. rejected has an entry for each: nil if it was
// stored, else why not. missing are the objects to be sent, each once, in order.
func (in *Intake) Instructions(ctx context.Context, runID uint64, incoming []Incoming) (rejected []error, missing []string, err error) {
	messages := make([]state.Message, len(incoming))
	for i, inc := range incoming {
		if messages[i], err = in.prepare(ctx, runID, inc); err != nil {
			return nil, nil, err
		}
	}
	if rejected, err = in.store.InsertInstructions(ctx, messages); err != nil {
		return nil, nil, fmt.Errorf("store instructions of run %d: %w", runID, err)
	}
	seen := make(map[string]struct{})
	for i, inc := range incoming {
		if rejected[i] != nil {
			continue
		}
		lacks, err := in.await(ctx, inc)
		if err != nil {
			return nil, nil, err
		}
		for _, id := range lacks {
			if _, listed := seen[id]; !listed {
				seen[id] = struct{}{}
				missing = append(missing, id)
			}
		}
	}
	return rejected, missing, nil
}

// Reply stores one reply; errors are those of [state.Messages].InsertReply.
func (in *Intake) Reply(ctx context.Context, inc Incoming, runtime time.Duration) (missing []string, err error) {
	m, err := in.prepare(ctx, inc.Message.RunID, inc)
	if err != nil {
		return nil, err
	}
	if err := in.store.InsertReply(ctx, m, runtime); err != nil {
		return nil, fmt.Errorf("store reply %s: %w", m.ID, err)
	}
	return in.await(ctx, inc)
}

// prepare registers the objects, so that they stay, and looks which are there.
func (in *Intake) prepare(ctx context.Context, runID uint64, inc Incoming) (state.Message, error) {
	if err := in.store.RegisterObjects(ctx, runID, inc.ObjectIDs); err != nil {
		return state.Message{}, fmt.Errorf("register objects of message %s: %w", inc.Message.ID, err)
	}
	m := inc.Message
	m.State = state.Waiting
	for _, id := range inc.ObjectIDs {
		if !in.objects.Has(id) {
			m.State = state.Gathering
			break
		}
	}
	return m, nil
}

// await has the gatherer watch a stored message. An object may have come between prepare
// and now, so a message that lacks nothing is marked complete here.
func (in *Intake) await(ctx context.Context, inc Incoming) ([]string, error) {
	key := inc.Message.ID
	in.remember(inc.Message.RunID, key)
	missing, err := in.gather.Add(key, inc.ObjectIDs)
	if err != nil {
		in.forget(key)
		return nil, fmt.Errorf("wait for objects of message %s: %w", key, err)
	}
	if len(missing) > 0 {
		return missing, nil
	}
	return nil, in.complete(ctx, []string{key})
}

// StoreObject stores an object that a message of the run waits for, durably. stored is
// false if the run knows no such object or the bytes are not those of the id; body is read
// to its end in any case but an error.
func (in *Intake) StoreObject(ctx context.Context, runID uint64, id string, size int64, body io.Reader) (stored bool, err error) {
	done := in.begin(runID)
	defer done()
	known, err := in.store.RunHasObject(ctx, runID, id)
	if err != nil {
		return false, fmt.Errorf("look for object %s in run %d: %w", id, runID, err)
	}
	if !known {
		_, err := io.Copy(io.Discard, body)
		return false, err
	}
	err = in.objects.Put(ctx, id, size, body)
	switch {
	case errors.Is(err, objects.ErrMismatch):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("store object %s: %w", id, err)
	}
	return true, in.complete(ctx, in.gather.Arrived(id))
}

// complete makes messages visible. What could not be marked is marked by the next call:
// the sender, who got an error, repeats its push and comes here again.
func (in *Intake) complete(ctx context.Context, keys []string) error {
	in.mu.Lock()
	for _, key := range keys {
		in.due[key] = struct{}{}
	}
	due := slices.Collect(maps.Keys(in.due))
	in.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	if err := in.store.MarkComplete(ctx, due); err != nil {
		return fmt.Errorf("complete %d messages: %w", len(due), err)
	}
	for _, key := range due {
		in.forget(key)
	}
	return nil
}

// Wait returns nil when the object is there.
func (in *Intake) Wait(ctx context.Context, id string) error { return in.gather.Wait(ctx, id) }

// begin notes that an object is being written for the run, until done is called.
func (in *Intake) begin(runID uint64) (done func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	w := in.storing[runID]
	if w == nil {
		w = &writes{idle: make(chan struct{})}
		in.storing[runID] = w
	}
	w.count++
	return func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		if w.count--; w.count == 0 {
			close(w.idle)
			delete(in.storing, runID)
		}
	}
}

// DropRun forgets what a finished run was waiting for, and returns when no object is being
// written for it any more: only then the run's objects can be released without leaving
// one behind.
func (in *Intake) DropRun(ctx context.Context, runID uint64) error {
	in.mu.Lock()
	keys := in.byRun[runID]
	delete(in.byRun, runID)
	for key := range keys {
		delete(in.runOf, key)
		delete(in.due, key)
	}
	writing := in.storing[runID]
	in.mu.Unlock()
	for key := range keys {
		in.gather.Drop(key)
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

func (in *Intake) remember(runID uint64, key string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.byRun[runID] == nil {
		in.byRun[runID] = make(map[string]struct{})
	}
	in.byRun[runID][key] = struct{}{}
	in.runOf[key] = runID
}

func (in *Intake) forget(key string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	run := in.runOf[key]
	delete(in.runOf, key)
	delete(in.due, key)
	delete(in.byRun[run], key)
	if len(in.byRun[run]) == 0 {
		delete(in.byRun, run)
	}
}
