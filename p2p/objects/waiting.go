package objects

import (
	"context"
	"io"
	"time"

	"github.com/rhizome-fl/rhizome/p2p/objects/exchangepb"
)

// whileWaiting runs do, and tells the other end every waitSign that it is not forgotten.
// When that cannot be told, do's ctx ends. It returns when do has returned: the error of
// telling, or else that of do.
func whileWaiting(ctx context.Context, out io.Writer, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	tick := time.NewTicker(waitSign)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			if err := writeAnswer(out, answer{status: exchangepb.Answer_WAIT}); err != nil {
				cancel()
				_ = <-done // it was told to end
				return err
			}
		}
	}
}
