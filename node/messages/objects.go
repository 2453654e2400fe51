package messages

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// ErrNotHere says that an object is not on disk and could not be fetched now.
var ErrNotHere = errors.New("object is not here")

// Open opens an object that should be on disk. If it was lost or damaged there, it is fetched
// again. It may return ErrNotHere.
func (o *Office) Open(ctx context.Context, runID uint64, id string) (objects.File, error) {
	file, err := o.cfg.Objects.Open(id)
	if err == nil {
		return file, nil
	}
	if !errors.Is(err, objects.ErrNotFound) && !errors.Is(err, objects.ErrCorrupt) {
		return nil, fmt.Errorf("open object %s: %w", id, err)
	}
	log.Warn("object is missing on disk; fetching it again", "run", runID, "object", id, "err", err)
	if err := o.fetch(ctx, Want{RunID: runID, IDs: []string{id}}); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotHere, id, err)
	}
	file, err = o.cfg.Objects.Open(id)
	if err != nil {
		return nil, fmt.Errorf("open object %s: %w", id, err)
	}
	return file, nil
}

// StoreObject durably stores an object that the reply of a task is waiting for. stored is false
// if the reply has no such object or the bytes do not match the id; unless there is an error,
// body is read to its end.
func (o *Office) StoreObject(ctx context.Context, t task.Task, id string, size int64, body io.Reader) (stored bool, err error) {
	wanted, err := o.cfg.Store.ReplyNeeds(ctx, t.MessageID, id)
	if err != nil {
		return false, err
	}
	if !wanted {
		_, err := io.Copy(io.Discard, body)
		return false, err
	}
	err = o.cfg.Objects.Put(ctx, id, size, body)
	if errors.Is(err, objects.ErrMismatch) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store object %s of run %d: %w", id, t.RunID, err)
	}
	if err := o.cfg.Store.HoldObjects(ctx, t.MessageID, id); err != nil {
		return false, err
	}
	return true, nil
}
