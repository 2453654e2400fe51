// Package persist does what must not be given up, such as keeping a promise to disk when
// the disk is full: it tries until it succeeds or its context ends.
//
// It is for work that can be repeated. What fails for good (bad input) must not come here.
package persist

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// firstPause leaves time for what was in the way; lastPause lets work go on
	// soon after a disk has room again, and keeps the log readable while it has none.
	firstPause = time.Second
	lastPause  = time.Minute
)

// Logger is told of each failure.
type Logger interface {
	Errorw(msg string, keysAndValues ...any)
}

// Do calls work until it succeeds; the only error is that of ctx. doing completes
// "could not ...".
func Do(ctx context.Context, log Logger, doing string, work func() error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, lastPause
	for {
		err := work()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next := pause.NextBackOff()
		log.Errorw("could not "+doing+"; trying again", "err", err, "in", next.Round(time.Millisecond))
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
