package link

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// persist does what must not be given up: it tries until it succeeds or ctx ends.
func persist(ctx context.Context, doing string, work func() error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = retryFirst, retryMost
	for {
		err := work()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next := pause.NextBackOff()
		log.Errorw("could not "+doing+"; trying again", "error", err, "in", next.Round(time.Millisecond))
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
