package keeping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/gossip"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// someRuns is a store of runs, each with one object.
type someRuns struct {
	state.Store
	bell wake.Bell

	mu       sync.Mutex
	runs     map[uint64]state.Run
	released map[uint64]bool
	fail     int
}

func (s *someRuns) Bell() *wake.Bell { return &s.bell }

func (s *someRuns) set(id uint64, status task.Status, sub task.SubStatus) {
	s.mu.Lock()
	s.runs[id] = state.Run{ID: id, PrimaryTask: task.Task{ID: id, Status: status, SubStatus: sub}}
	s.mu.Unlock()
	s.bell.Ring(state.KeyRunEnds(), state.KeyPendingTask())
}

func (s *someRuns) list(keep func(state.Run) bool) []state.Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []state.Run
	for _, r := range s.runs {
		if keep(r) {
			found = append(found, r)
		}
	}
	return found
}

func (s *someRuns) UnfinishedRuns(context.Context) ([]state.Run, error) {
	return s.list(func(r state.Run) bool { return r.PrimaryTask.Status != task.Finished }), nil
}

func (s *someRuns) FinishedRunsHoldingObjects(context.Context) ([]uint64, error) {
	var ids []uint64
	for _, r := range s.list(func(r state.Run) bool { return r.PrimaryTask.Status == task.Finished && !s.released[r.ID] }) {
		ids = append(ids, r.ID)
	}
	return ids, nil
}

func (s *someRuns) Run(_ context.Context, id uint64) (state.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.runs[id]
	if !known {
		return state.Run{}, state.ErrNotFound
	}
	return r, nil
}

func (s *someRuns) ReleaseObjects(_ context.Context, id uint64, remove func(string) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return errors.New("disk is full")
	}
	s.released[id] = true
	return remove(fmt.Sprint("object-", id))
}

// diary records what the keeper of runs did.
type diary struct {
	mu   sync.Mutex
	said []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, fmt.Sprintf(format, args...))
}

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.said, want) {
		t.Errorf("the keeper did %q, want %q", d.said, want)
	}
	d.said = nil
}

func keepRuns(t *testing.T, store *someRuns) *diary {
	d := &diary{}
	keeper := &Runs{
		Store:    store,
		Announce: func(_ context.Context, kind gossip.Kind, run state.Run) { d.note("announce %d %s", run.ID, kind) },
		End:      func(_ context.Context, run state.Run) error { d.note("end %d", run.ID); return nil },
		Remove:   func(id string) error { d.note("remove %s", id); return nil },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = keeper.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return d
}

func newSomeRuns() *someRuns {
	return &someRuns{runs: make(map[uint64]state.Run), released: make(map[uint64]bool)}
}

func TestRunIsAnnouncedAndCleanedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSomeRuns()
		d := keepRuns(t, store)
		synctest.Wait()
		store.set(7, task.Pending, "")
		synctest.Wait()
		d.expect(t, "announce 7 started")
		store.set(7, task.Running, "")
		synctest.Wait()
		d.expect(t)
		store.set(7, task.Finished, task.Stopped)
		synctest.Wait()
		d.expect(t, "announce 7 stopped", "end 7", "remove object-7")
		store.set(8, task.Pending, "")
		synctest.Wait()
		d.expect(t, "announce 8 started")
	})
}

func TestCleaningUpGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSomeRuns()
		store.set(7, task.Finished, task.Completed)
		d := keepRuns(t, store)
		synctest.Wait()
		d.expect(t, "announce 7 finished", "end 7", "remove object-7")
	})
}

func TestCleaningUpIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSomeRuns()
		store.fail = 1
		store.set(7, task.Finished, task.Completed)
		d := keepRuns(t, store)
		synctest.Wait()
		d.expect(t, "announce 7 finished", "end 7")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		d.expect(t, "announce 7 finished", "end 7", "remove object-7")
	})
}
