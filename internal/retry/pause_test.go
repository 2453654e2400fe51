package retry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/internal/retry"
)

func TestPausesGrowAndAreBounded(t *testing.T) {
	const first, most = time.Second, 20 * time.Second
	synctest.Test(t, func(t *testing.T) {
		pause := retry.Between(first, most)
		for i := range 20 {
			bound := min(first<<min(i, 10), most)
			before := time.Now()
			if !pause.Wait(t.Context()) {
				t.Fatal("a pause ended early")
			}
			if took := time.Since(before); took > bound || took < bound/3-time.Millisecond {
				t.Errorf("pause %d took %v, want a third of %v to the whole of it", i, took, bound)
			}
		}
		pause.Reset()
		if next := pause.Next(); next > first {
			t.Errorf("%v after a reset, want at most %v", next, first)
		}
	})
}

func TestSleepEndsWithWhatComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !retry.Sleep(t.Context(), time.Minute) || time.Since(began) != time.Minute {
			t.Errorf("slept %v, want a minute", time.Since(began))
		}
		early := make(chan struct{}, 1)
		early <- struct{}{}
		began = time.Now()
		if !retry.SleepUnless(t.Context(), time.Minute, early) || time.Since(began) != 0 {
			t.Errorf("slept %v though there was a reason not to", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if retry.Sleep(ctx, time.Minute) || time.Since(began) != time.Second {
			t.Errorf("slept %v, want to the end of the context", time.Since(began))
		}
		if retry.Sleep(ctx, -time.Second) {
			t.Error("a sleep that is over does not see that its context is over too")
		}
	})
}
