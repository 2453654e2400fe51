package keeping

import (
	"context"
	"time"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/link/state"
)

// Deadlines applies deadlines when they come, without polling: it sleeps until the next one
// that the store knows, or until the store learns of a nearer one. It returns when ctx ends.
func Deadlines(ctx context.Context, store DeadlineStore) error {
	watch := store.Bell().Watch(state.KeyDeadline())
	defer watch.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-watch.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		var next time.Time
		err := retry.Do(ctx, log, "apply deadlines", func() (err error) {
			next, err = store.Expire(ctx, time.Now())
			return err
		})
		if err != nil {
			return err
		}
		if next.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(max(time.Until(next), 0))
	}
}
