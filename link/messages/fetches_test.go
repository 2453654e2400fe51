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
		t.Fatal("the first fetch of an instruction was refused")
	}
	if _, _, first := f.begin(t.Context(), "a", 1); first {
		t.Error("a repeated reply was fetched twice at once")
	}
	release()
	if _, release, first := f.begin(t.Context(), "a", 1); !first {
		t.Error("after its end a reply must be fetchable again")
	} else {
		release()
	}
}

func TestStopOfARunWaitsForItsFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetches()
		first, release, _ := f.begin(t.Context(), "a", 1)
		second, releaseOther, _ := f.begin(t.Context(), "b", 2)
		defer releaseOther()
		stopped := make(chan error, 1)
		go func() { stopped <- f.stop(t.Context(), 1) }()
		synctest.Wait()
		if !errors.Is(context.Cause(first), errRunFinished) || second.Err() != nil {
			t.Errorf("causes: run 1 %v, run 2 %v", context.Cause(first), second.Err())
		}
		select {
		case <-stopped:
			t.Fatal("stop did not wait for the fetch to end")
		default:
		}
		release()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}
