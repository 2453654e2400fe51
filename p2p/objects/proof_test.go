package objects

import (
	"errors"
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
