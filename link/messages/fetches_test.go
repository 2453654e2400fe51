package messages

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestFetchesOfAnInstructionAreOne(t *testing.T) {
	f := newFetches()
	_, release, first := f.begin(t.Context(), "a", 1)
	if !first {
		t.Fatal("the first is not the first")
	}
	if _, _, first := f.begin(t.Context(), "a", 1); first {
		t.Error("a repeated reply is fetched twice at once")
	}
	release()
	if _, release, first := f.begin(t.Context(), "a", 1); !first {
		t.Error("after the end it can be fetched again")
	} else {
		release()
	}
}

func TestStopOfARunWaitsForItsFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetches()
		one, release, _ := f.begin(t.Context(), "a", 1)
		other, releaseOther, _ := f.begin(t.Context(), "b", 2)
		defer releaseOther()
		stopped := make(chan error, 1)
		go func() { stopped <- f.stop(t.Context(), 1) }()
		synctest.Wait()
		if !errors.Is(context.Cause(one), errRunFinished) || other.Err() != nil {
			t.Errorf("causes: run 1 %v, run 2 %v", context.Cause(one), other.Err())
		}
		select {
		case <-stopped:
			t.Fatal("stop did not wait")
		default:
		}
		release()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}
