package messages

import (
	"context"

	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Lease waits for a message and a free slot, and leases the message as a claimed task to
// whoever shows the token. Only a message whose app the policy has allowed is leased, and one
// that it has not been asked about is decided about first. ok is false if ctx has ended before.
func (o *Office) Lease(ctx context.Context, types []string) (t task.Task, token string, ok bool, err error) {
	watch := o.cfg.Store.Bell().Watch(state.KeyWaiting())
	defer watch.Close()
	for {
		if err := o.Review(ctx); err != nil && ctx.Err() == nil {
			log.Warn("some messages wait until the site can decide about their apps", "err", err)
		}
		t, token, ok, err := o.cfg.Store.Lease(ctx, types, o.cfg.Slots, o.cfg.Policy.Fingerprint())
		switch {
		case ok && ctx.Err() != nil:
			// Nobody reads the answer any more: another executor need not wait for the lease to expire.
			return task.Task{}, "", false, o.Release(context.WithoutCancel(ctx), t)
		case ctx.Err() != nil:
			return task.Task{}, "", false, nil
		case err != nil:
			return task.Task{}, "", false, err
		case ok:
			log.Info("task is handed out", "run", t.RunID, "message", t.MessageID, "task", t.ID)
			return t, token, true, nil
		}
		select {
		case <-ctx.Done():
			return task.Task{}, "", false, nil
		case <-watch.C:
		}
	}
}

// Release gives back a lease that did not reach its executor.
func (o *Office) Release(ctx context.Context, t task.Task) error {
	return o.cfg.Store.Unlease(ctx, t.ID)
}
