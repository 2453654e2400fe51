package objects

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A peer has to show also what is stored here already, over as many streams as it takes;
// nothing of that is written.
func TestFetchOwnHasEverythingShown(t *testing.T) {
	theirs := newDir(t)
	contents, ids := fillStore(t, theirs, 10, 300_000, 5_000, 700_000)
	owner := serve(t, theirs, anybody, ServerOptions{})
	mine := newDir(t)
	put(t, mine, contents[ids[1]])
	put(t, mine, contents[ids[2]])
	f := NewFetcher(newHost(t), mine, FetchOptions{Chunk: 100_000})
	var mu sync.Mutex
	var shown []string
	note := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, id)
	}
	if err := f.FetchOwn(t.Context(), testRun, ids, owner.provider(), note); err != nil {
		t.Fatal(err)
	}
	slices.Sort(shown)
	want := slices.Sorted(slices.Values(ids))
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Error(diff)
	}
	if sent := owner.meter.sent.Load(); sent != 10+300_000+5_000+700_000 {
		t.Errorf("%d bytes were sent", sent)
	}
	wantAll(t, mine, contents)
}

// A peer whose line fails again and again shows an object bit by bit.
func TestFetchOwnGoesOnWhereAnotherOneEnded(t *testing.T) {
	const size = 4 << 20
	theirs, mine := newDir(t), newDir(t)
	contents, ids := fillStore(t, theirs, size)
	put(t, mine, contents[ids[0]])
	owner := serve(t, theirs, anybody, ServerOptions{})
	cut, cancel := context.WithCancelCause(t.Context())
	m := &stopAfter{bytes: 1 << 20, stop: func() { cancel(os.ErrProcessDone) }}
	f := NewFetcher(newHost(t), mine, FetchOptions{Meter: m})
	shown := 0
	fetch := func(ctx context.Context, runID uint64) error {
		return f.FetchOwn(ctx, runID, ids, owner.provider(), func(string) { shown++ })
	}
	if err := fetch(cut, testRun); !errors.Is(err, os.ErrProcessDone) || shown != 0 {
		t.Fatal(err, shown)
	}
	if first := m.received.Load(); first < 1<<20 || first == size {
		t.Fatalf("%d bytes were received before the cut", first)
	}
	if err := fetch(t.Context(), testRun); err != nil || shown != 1 || m.received.Load() != size {
		t.Errorf("%v: shown %d times, with %d bytes received", err, shown, m.received.Load())
	}
	// What was shown for one run does not count for another.
	if err := fetch(t.Context(), testRun+1); err != nil || shown != 2 || m.received.Load() != 2*size {
		t.Errorf("%v: shown %d times, with %d bytes received for two runs", err, shown, m.received.Load())
	}
}

func TestBegunProofsAreBounded(t *testing.T) {
	b := newBegunProofs()
	for run := range uint64(maxBegunProofs + 10) {
		b.keep("peer", run, map[string]*proof{
			"part": {offset: 1, size: 2}, "nothing": {size: 2}, "all": {offset: 2, size: 2},
		})
	}
	if len(b.parts) != maxBegunProofs {
		t.Errorf("%d are kept", len(b.parts))
	}
	const last = maxBegunProofs + 9
	if got := b.take("peer", last, []string{"part", "nothing", "all"}); len(got) != 1 || got["part"] == nil {
		t.Errorf("taken: %v", got)
	}
	if got := b.take("peer", last, []string{"part"}); len(got) != 0 {
		t.Errorf("taken twice: %v", got)
	}
}

// Knowing an id is not having the object.
func TestFetchOwnRefusesWhoOnlyKnowsTheID(t *testing.T) {
	mine := newDir(t)
	_, ids := fillStore(t, mine, 5_000)
	liar := serve(t, newDir(t), anybody, ServerOptions{})
	f := NewFetcher(newHost(t), mine, FetchOptions{})
	err := f.FetchOwn(t.Context(), testRun, ids, liar.provider(), func(id string) { t.Errorf("%s was shown", id) })
	if !errors.Is(err, ErrNotFound) || !Permanent(err) {
		t.Error(err)
	}
}
