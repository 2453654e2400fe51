package messages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"google.golang.org/protobuf/proto"
)

var log = logs.For("link/messages")

// Store is what the package needs of [state.Store].
type Store interface {
	RegisterObjects(ctx context.Context, runID uint64, objectIDs []string) error
	HoldObjects(ctx context.Context, runID uint64, objectIDs []string) error
	UnheldObjects(ctx context.Context, runID uint64, objectIDs []string) ([]string, error)
	RunHasObject(ctx context.Context, runID uint64, objectID string) (bool, error)
	InsertInstructions(ctx context.Context, msgs []state.Message) ([]error, error)
	InsertReply(ctx context.Context, m state.Message, runtime time.Duration) error
	MarkComplete(ctx context.Context, messageIDs []string) error
	GatheringMessages(ctx context.Context) ([]state.Message, error)
}

// Intake is the one of a SuperLink. Its methods may be called concurrently.
type Intake struct {
	store   Store
	objects objects.Store
	// gather knows objects by run: that one run has an object says nothing of another.
	gather *objects.Gatherer

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
func New(store Store, objectStore objects.Store) *Intake {
	return &Intake{
		store: store, objects: objectStore, gather: objects.NewGatherer(),
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
		if _, err := in.await(ctx, m.RunID, Incoming{Message: m, ObjectIDs: ids}); err != nil {
			return err
		}
	}
	return nil
}

// Instructions stores messages of one run. rejected has an entry for each: nil if it was
// stored, else why not. missing are the objects to be sent, each once, in order.
func (in *Intake) Instructions(ctx context.Context, runID uint64, incoming []Incoming) (rejected []error, missing []string, err error) {
	messages, err := in.prepare(ctx, runID, incoming...)
	if err != nil {
		return nil, nil, err
	}
	if rejected, err = in.store.InsertInstructions(ctx, messages); err != nil {
		return nil, nil, fmt.Errorf("store instructions of run %d: %w", runID, err)
	}
	stored := make([]Incoming, 0, len(incoming))
	for i, inc := range incoming {
		if rejected[i] == nil {
			stored = append(stored, inc)
		}
	}
	missing, err = in.await(ctx, runID, stored...)
	if err != nil {
		return nil, nil, err
	}
	return rejected, missing, nil
}

// Reply stores one reply; errors are those of [state.Messages].InsertReply.
func (in *Intake) Reply(ctx context.Context, inc Incoming, runtime time.Duration) (missing []string, err error) {
	runID := inc.Message.RunID
	prepared, err := in.prepare(ctx, runID, inc)
	if err != nil {
		return nil, err
	}
	m := prepared[0]
	if err := in.store.InsertReply(ctx, m, runtime); err != nil {
		return nil, fmt.Errorf("store reply %s: %w", m.ID, err)
	}
	return in.await(ctx, runID, inc)
}

// prepare registers the objects of all messages, so that they stay, and looks for which of
// the messages the run has them all. A round's messages share most of their objects, which
// are looked at once.
func (in *Intake) prepare(ctx context.Context, runID uint64, incoming ...Incoming) ([]state.Message, error) {
	ids := objectsOf(incoming)
	if err := in.store.RegisterObjects(ctx, runID, ids); err != nil {
		return nil, fmt.Errorf("register objects of %d messages of run %d: %w", len(incoming), runID, err)
	}
	lacks, err := in.lacking(ctx, runID, ids)
	if err != nil {
		return nil, err
	}
	lacked := setOf(lacks)
	messages := make([]state.Message, len(incoming))
	for i, inc := range incoming {
		messages[i] = inc.Message
		messages[i].State = state.Waiting
		if lacksAny(inc, lacked) {
			messages[i].State = state.Gathering
		}
	}
	return messages, nil
}

// lacking are the objects that have to be sent in the name of the run: those that are not
// there, and those that are there for other runs only. Nobody gets the objects of another
// run by naming them.
func (in *Intake) lacking(ctx context.Context, runID uint64, ids []string) ([]string, error) {
	unheld, err := in.store.UnheldObjects(ctx, runID, ids)
	if err != nil {
		return nil, fmt.Errorf("look which objects run %d has: %w", runID, err)
	}
	var lacks []string
	for _, id := range ids {
		switch {
		case len(unheld) > 0 && unheld[0] == id: // they come in the order of ids
			unheld = unheld[1:]
		case in.objects.Has(id):
			continue
		}
		lacks = append(lacks, id)
	}
	return lacks, nil
}

// await has the gatherer watch stored messages, and returns what they lack, each object
// once. An object may have come between prepare and now, so messages that lack nothing are
// marked complete here.
func (in *Intake) await(ctx context.Context, runID uint64, incoming ...Incoming) (missing []string, err error) {
	sets := make([]objects.Gathering, len(incoming))
	for i, inc := range incoming {
		in.remember(runID, inc.Message.ID)
		sets[i] = objects.Gathering{Key: inc.Message.ID, IDs: scoped(runID, inc.ObjectIDs)}
	}
	names, complete, err := in.gather.AddAll(sets, func(names []string) ([]string, error) {
		lacks, err := in.lacking(ctx, runID, unscoped(names))
		return scoped(runID, lacks), err
	})
	if err != nil {
		for _, inc := range incoming {
			in.forget(inc.Message.ID)
		}
		return nil, fmt.Errorf("wait for objects of %d messages of run %d: %w", len(incoming), runID, err)
	}
	return unscoped(names), in.complete(ctx, complete)
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
	// Before the sender is told: it does not send what it was told to be stored again.
	switch err := in.store.HoldObjects(ctx, runID, []string{id}); {
	case errors.Is(err, state.ErrRunFinished), errors.Is(err, state.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("store object %s: %w", id, err)
	}
	return true, in.complete(ctx, in.gather.Arrived(scope(runID, id)))
}

// Open opens an object in the name of a run. One that the run knows and does not have yet
// is waited for as long as hold. known is false if the run knows no such object, or if it is
// damaged; a nil file of a known one means that it has not come.
func (in *Intake) Open(ctx context.Context, runID uint64, id string, hold time.Duration) (known bool, file objects.File, err error) {
	there := func() (bool, error) {
		lacks, err := in.lacking(ctx, runID, []string{id})
		return len(lacks) == 0, err
	}
	is, err := there()
	if err != nil {
		return false, nil, err
	}
	if !is {
		if known, err = in.store.RunHasObject(ctx, runID, id); err != nil || !known {
			return false, nil, err
		}
		wait, cancel := context.WithTimeout(ctx, hold)
		defer cancel()
		if err := in.gather.Wait(wait, scope(runID, id), there); err != nil {
			if ctx.Err() == nil && wait.Err() != nil {
				err = nil
			}
			return true, nil, err
		}
	}
	file, err = in.objects.Open(id)
	switch {
	case errors.Is(err, objects.ErrCorrupt):
		log.Error("an object is damaged on disk and was set aside", "run", runID, "object", id)
		return false, nil, nil
	case errors.Is(err, objects.ErrNotFound): // removed: the run has just ended
		return true, nil, nil
	case err != nil:
		return true, nil, fmt.Errorf("open object %s of run %d: %w", id, runID, err)
	}
	return true, file, nil
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
