package retry

import (
	"context"
	"log/slog"
	"time"
)

// Do calls work until it succeeds; the only error it returns is that of ctx. Each failure is logged,
// along with what was being done. The work must tolerate being repeated, and must not be of a kind
// that can fail for good, for instance because of bad input.
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
		log.Error("work that must not be given up has failed; trying again", "doing", doing, "err", err, "in", next.Round(time.Millisecond))
		if !Sleep(ctx, next) {
			return ctx.Err()
		}
	}
}
