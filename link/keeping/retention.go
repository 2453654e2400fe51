package keeping

import (
	"context"
	"time"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/link/state"
)

// Retain forgets finished runs when they are too old, and when the end of another run makes
// them too many. Like [Deadlines] it sleeps in between.
func Retain(ctx context.Context, store RetentionStore, keep state.Retention) error {
	if keep == (state.Retention{}) {
		return nil // everything is kept
	}
	watch := store.Bell().Watch(state.KeyRunEnds())
	defer watch.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-watch.C:
			// A run has just ended; its objects are released within this time, and a burst of ends
			// is dealt with at once.
			timer.Reset(retainPause)
			continue
		case <-ctx.Done():
			return ctx.Err()
		}
		var next time.Time
		err := retry.Do(ctx, log, "forget finished runs", func() (err error) {
			var forgotten []uint64
			forgotten, next, err = store.ForgetRuns(ctx, time.Now(), keep)
			if len(forgotten) > 0 {
				log.Info("finished runs were forgotten", "runs", len(forgotten), "first", forgotten[0])
			}
			return err
		})
		if err != nil {
			return err
		}
		if !next.IsZero() {
			timer.Reset(max(time.Until(next), retainPause))
		}
	}
}
