package keeping

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/state"
)

// hoard is a store of which only the spare objects are used.
type hoard struct {
	state.Store
	bell     wake.Bell
	idle     bool // no run is unfinished
	looks    int
	spare    map[uint64][]string
	released map[uint64][]string
}

func (h *hoard) Bell() *wake.Bell { return &h.bell }

func (h *hoard) UnfinishedRuns(context.Context) ([]state.Run, error) {
	h.looks++
	if h.idle {
		return nil, nil
	}
	return []state.Run{{ID: 1}, {ID: 2}, {ID: 3}}, nil
}

func (h *hoard) SpareObjects(_ context.Context, runID uint64, before time.Time) ([]string, error) {
	if runID == 3 {
		return nil, state.ErrRunFinished
	}
	if got := time.Since(before); got != spareAge {
		return nil, errors.New("asked for objects of " + got.String() + " ago")
	}
	return h.spare[runID], nil
}

func (h *hoard) ReleaseSpareObjects(_ context.Context, runID uint64, _ time.Time, ids []string, remove func(string) error) error {
	h.released[runID] = append(h.released[runID], ids...)
	for _, id := range ids {
		if err := remove(id); err != nil {
			return err
		}
	}
	return nil
}

func TestOldestSpareObjectsGo(t *testing.T) {
	for _, test := range []struct {
		name       string
		keep, free int64
		want       map[uint64][]string
	}{
		{"a bound", 90, 1000, map[uint64][]string{1: {"a", "b"}}}, // 30 for each of three runs
		{"a full disk", 1000, 0, map[uint64][]string{1: {"a", "b", "lost", "c"}, 2: {"d"}}},
		{"little room", 0, 75, map[uint64][]string{1: {"a", "b"}}},
		{"no bound", 0, 1 << 40, map[uint64][]string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &hoard{spare: map[uint64][]string{1: {"a", "b", "lost", "c"}, 2: {"d"}}, released: make(map[uint64][]string)}
				var removed []string
				keeper := &Spare{
					Store: store, Keep: test.keep,
					Free:   func() (int64, error) { return test.free, nil },
					Remove: func(id string) error { removed = append(removed, id); return nil },
					Size: func(id string) (int64, error) {
						if id == "lost" {
							return 0, errors.New("not there")
						}
						return 20, nil
					},
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- keeper.Run(ctx) }()
				time.Sleep(spareEvery + time.Second)
				cancel()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				for id, want := range test.want {
					if got := store.released[id]; !slices.Equal(got, want) {
						t.Errorf("run %d released %v, want %v", id, got, want)
					}
				}
				if len(store.released) != len(test.want) || len(removed) != len(store.released[1])+len(store.released[2]) {
					t.Errorf("released %v, removed %v", store.released, removed)
				}
			})
		})
	}
}

func TestNobodyLooksForSpareObjectsWithoutRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hoard{idle: true, spare: map[uint64][]string{1: {"a"}}, released: make(map[uint64][]string)}
		keeper := &Spare{
			Store:  store,
			Free:   func() (int64, error) { return 0, nil },
			Remove: func(string) error { return nil },
			Size:   func(string) (int64, error) { return 20, nil },
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- keeper.Run(ctx) }()
		<-time.After(time.Hour) // of virtual time
		synctest.Wait()
		if store.looks != 1 {
			t.Errorf("looked %d times in an hour without a run", store.looks)
		}
		store.idle = false
		store.bell.Ring(state.KeyPendingTask())
		<-time.After(spareEvery + time.Second)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if !slices.Equal(store.released[1], []string{"a"}) {
			t.Errorf("after a run had begun, %v was released", store.released)
		}
	})
}
