package retry

import (
	"context"
	"log/slog"
	"time"
)

// Do calls work until it succeeds; the only error is that of ctx. log is told of each failure,
// with what was being done. The work must bear to be repeated, and what fails for good, such as bad
// input, must not come here.
func Do(ctx context.Context, log *slog.Logger, doing string, work func() error) error {
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
		log.Error("what must not be given up did not work; trying again", "doing", doing, "err", err, "in", next.Round(time.Millisecond))
		if !Sleep(ctx, next) {
			return ctx.Err()
		}
	}
}
