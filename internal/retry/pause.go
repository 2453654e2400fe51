package retry

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Pause computes the pauses between attempts: the length of each is random, between a third of
// a bound and the whole of it, and the bound doubles from one pause to the next until it
// reaches its maximum. It must be used by one goroutine only.
type Pause struct{ next *backoff.ExponentialBackOff }

// Between makes pauses whose bound grows from first to most.
func Between(first, most time.Duration) *Pause {
	b := backoff.NewExponentialBackOff()
	b.Multiplier, b.RandomizationFactor = 2, 0.5
	// The library takes the middle of the range that it draws from, and adds half of it at most.
	b.InitialInterval, b.MaxInterval = first*2/3, most*2/3
	b.Reset()
	return &Pause{next: b}
}

// Next returns the length of the next pause, for a caller that waits by other means.
func (p *Pause) Next() time.Duration { return p.next.NextBackOff() }

// Reset starts over with short pauses, because something has worked.
func (p *Pause) Reset() { p.next.Reset() }

// Wait sleeps for the next pause. It returns false if ctx ended first.
func (p *Pause) Wait(ctx context.Context) bool { return Sleep(ctx, p.Next()) }

// Sleep waits until d has passed. It returns false if ctx ended first, or had already ended.
func Sleep(ctx context.Context, d time.Duration) bool { return SleepUnless(ctx, d, nil) }

// SleepUnless is a Sleep that returns true early if early has a value or is closed.
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
