package keeping

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/state"
)

// deadlines is a store that has nothing but deadlines.
type deadlines struct {
	state.Store
	bell  wake.Bell
	next  time.Time
	fail  int
	calls []time.Time
}

func (d *deadlines) Bell() *wake.Bell { return &d.bell }

func (d *deadlines) Expire(_ context.Context, now time.Time) (time.Time, error) {
	if d.fail > 0 {
		d.fail--
		return time.Time{}, errors.New("disk is full")
	}
	d.calls = append(d.calls, now)
	if !d.next.After(now) {
		d.next = time.Time{}
	}
	return d.next, nil
}

func TestReaperSleepsUntilTheNextDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		store := &deadlines{next: start.Add(time.Hour)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Deadlines(ctx, store) }()
		synctest.Wait()

		time.Sleep(time.Minute)
		store.next = time.Now().Add(time.Minute)
		store.bell.Ring(state.KeyDeadline())
		time.Sleep(2 * time.Hour)
		synctest.Wait()

		want := []time.Duration{0, time.Minute, 2 * time.Minute}
		if len(store.calls) != len(want) {
			t.Fatalf("expired %d times, want %d", len(store.calls), len(want))
		}
		for i, at := range store.calls {
			if got := at.Sub(start); got != want[i] {
				t.Errorf("call %d at %s, want %s", i, got, want[i])
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestReaperGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &deadlines{fail: 3}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Deadlines(ctx, store) }()
		time.Sleep(10 * time.Minute) // three pauses of a minute at most
		synctest.Wait()
		if len(store.calls) != 1 {
			t.Errorf("expired %d times after three failures, want once", len(store.calls))
		}
		cancel()
		<-ended
	})
}
