package apps

import (
	"context"
	"errors"
	"io"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// PullObject opens an object of the task's run. An object that was lost or damaged on disk is
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
	file, err := h.cfg.Office.Open(ctx, t.RunID, id)
	if errors.Is(err, messages.ErrNotHere) {
		return runtimeapi.Object{Found: true}, nil // the client asks again
	}
	if err != nil {
		return runtimeapi.Object{}, err
	}
	return runtimeapi.Object{Found: true, Content: file, Size: file.Size()}, nil
}

// PushObject stores one object of the task's reply.
func (h *Host) PushObject(ctx context.Context, t task.Task, push runtimeapi.ObjectPush, body io.Reader) (bool, error) {
	return h.cfg.Office.StoreObject(ctx, t, push.ObjectID, push.Size, body)
}
