package apps

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// PullObject opens an object of the task's run. One that was lost or damaged on disk is
// fetched again.
func (h *Host) PullObject(ctx context.Context, t task.Task, req *flwrpb.PullObjectRequest) (runtimeapi.Object, error) {
	id := req.GetObjectId()
	known, err := h.cfg.Store.HasObject(ctx, t.RunID, id)
	if err != nil {
		return runtimeapi.Object{}, err
	}
	if !known {
		return runtimeapi.Object{}, nil
	}
	file, err := h.open(ctx, t.RunID, id)
	if errors.Is(err, errNotHere) {
		return runtimeapi.Object{Found: true}, nil // the client asks again
	}
	if err != nil {
		return runtimeapi.Object{}, err
	}
	return runtimeapi.Object{Found: true, Content: file, Size: file.Size()}, nil
}

// PushObject stores one object of the task's reply.
func (h *Host) PushObject(ctx context.Context, t task.Task, push runtimeapi.ObjectPush, body io.Reader) (bool, error) {
	wanted, err := h.cfg.Store.ReplyNeeds(ctx, t.MessageID, push.ObjectID)
	if err != nil {
		return false, err
	}
	if !wanted {
		_, err := io.Copy(io.Discard, body)
		return false, err
	}
	err = h.cfg.Objects.Put(ctx, push.ObjectID, push.Size, body)
	if errors.Is(err, objects.ErrMismatch) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store object %s of run %d: %w", push.ObjectID, t.RunID, err)
	}
	if err := h.cfg.Store.HoldObjects(ctx, t.MessageID, push.ObjectID); err != nil {
		return false, err
	}
	return true, nil
}

// errNotHere says that an object is not on disk and could not be fetched now.
var errNotHere = errors.New("object is not here")

// open opens an object that should be on disk, and fetches it if it is not.
func (h *Host) open(ctx context.Context, runID uint64, id string) (objects.File, error) {
	file, err := h.cfg.Objects.Open(id)
	if err == nil {
		return file, nil
	}
	if !errors.Is(err, objects.ErrNotFound) && !errors.Is(err, objects.ErrCorrupt) {
		return nil, fmt.Errorf("open object %s: %w", id, err)
	}
	log.Warn("object is missing on disk and is fetched again", "run", runID, "object", id, "err", err)
	if err := h.cfg.Fetch(ctx, runID, id); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errNotHere, id, err)
	}
	file, err = h.cfg.Objects.Open(id)
	if err != nil {
		return nil, fmt.Errorf("open object %s: %w", id, err)
	}
	return file, nil
}
