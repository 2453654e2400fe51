package traffic

import (
	"context"
	"maps"
	"testing"
	"time"
)

// statistics is a store that has nothing but statistics, and counts the calls.
type statistics struct {
	byRun map[uint64][2]uint64
	calls int
}

func (s *statistics) AddRunStats(_ context.Context, runID uint64, sent, received uint64, _ time.Duration) error {
	s.calls++
	sum := s.byRun[runID]
	s.byRun[runID] = [2]uint64{sum[0] + sent, sum[1] + received}
	return nil
}

func TestEachByteIsCountedOnce(t *testing.T) {
	store := &statistics{byRun: make(map[uint64][2]uint64)}
	m := New(store)
	m.Sent(1, 10)
	m.Sent(1, 5)
	m.Received(1, 7)
	m.Received(2, 3)
	if store.calls != 0 {
		t.Error("counting a block has written to the store")
	}
	m.Keep(t.Context(), 1)
	m.Keep(t.Context(), 1) // nothing has moved since
	m.Keep(t.Context(), 3) // nothing ever moved
	if store.calls != 1 {
		t.Errorf("%d writes for one run, want 1", store.calls)
	}
	m.Sent(1, 1)
	m.KeepAll(t.Context())
	m.KeepAll(t.Context())
	want := map[uint64][2]uint64{1: {16, 7}, 2: {0, 3}}
	if !maps.Equal(store.byRun, want) || store.calls != 3 {
		t.Errorf("counted %v in %d writes, want %v in 3", store.byRun, store.calls, want)
	}
	if len(m.byRun) != 0 {
		t.Errorf("%d runs are still remembered", len(m.byRun))
	}
}
