package retry

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Pause gives the pauses between attempts: each is a random length between a third of a
// bound and the whole of it, and the bound doubles from one pause to the next until it
// reaches its own. It is for one goroutine.
type Pause struct{ next *backoff.ExponentialBackOff }

// Between makes pauses whose bound grows from first to most.
func Between(first, most time.Duration) *Pause {
	b := backoff.NewExponentialBackOff()
	b.Multiplier, b.RandomizationFactor = 2, 0.5
	// The library takes the middle of what it draws from; half of that is added at most.
	b.InitialInterval, b.MaxInterval = first*2/3, most*2/3
	b.Reset()
	return &Pause{next: b}
}

// Next is the length of the next pause, for a caller that waits by itself.
func (p *Pause) Next() time.Duration { return p.next.NextBackOff() }

// Reset makes the next pause one of the first: something has worked.
func (p *Pause) Reset() { p.next.Reset() }

// Wait sleeps for the next pause. It is false when ctx ended first.
func (p *Pause) Wait(ctx context.Context) bool { return Sleep(ctx, p.Next()) }

// Sleep waits until d has passed. It is false when ctx ended first, or had ended before.
func Sleep(ctx context.Context, d time.Duration) bool { return SleepUnless(ctx, d, nil) }

// SleepUnless is a Sleep that ends early, and well, when early has a value or is closed.
func SleepUnless(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
