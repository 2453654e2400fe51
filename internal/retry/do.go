package retry

import (
	"context"
	"time"
)

// Logger is told of each failure.
type Logger interface {
	Errorw(msg string, keysAndValues ...any)
}

// Do calls work until it succeeds; the only error is that of ctx. doing completes
// "could not ...". The work must bear to be repeated, and what fails for good, such as bad
// input, must not come here.
func Do(ctx context.Context, log Logger, doing string, work func() error) error {
	pause := Between(firstPause, mostPause)
	for {
		err := work()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next := pause.Next()
		log.Errorw("could not "+doing+"; trying again", "err", err, "in", next.Round(time.Millisecond))
		if !Sleep(ctx, next) {
			return ctx.Err()
		}
	}
}
