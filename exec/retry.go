package exec

import (
	"context"
	"math/rand/v2"
	"time"
)

// retrier spaces attempts out: each wait is a random part of an interval that doubles.
type retrier struct{ interval time.Duration }

// wait returns false when ctx ended first.
func (r *retrier) wait(ctx context.Context) bool {
	if r.interval == 0 {
		r.interval = retryFirst
	}
	delay := rand.N(r.interval)
	r.interval = min(2*r.interval, retryMost)
	return sleep(ctx, delay)
}

func (r *retrier) reset() { r.interval = 0 }

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
