package objects

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// present is what is there.
type present struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (p *present) has(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ids[id]
}

func (p *present) lacking(ids []string) (lacks []string, err error) {
	for _, id := range ids {
		if !p.has(id) {
			lacks = append(lacks, id)
		}
	}
	return lacks, nil
}

func (p *present) is(id string) func() (bool, error) {
	return func() (bool, error) { return p.has(id), nil }
}

func (p *present) come(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids[id] = true
}

func TestGatherer(t *testing.T) {
	store := &present{ids: map[string]bool{"a": true}}
	g := NewGatherer()
	missing := func(key string, ids ...string) []string {
		t.Helper()
		m, err := g.Add(key, ids, store.lacking)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if diff := cmp.Diff([]string{"c", "b"}, missing("1", "a", "c", "b", "c")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"b"}, missing("2", "b")); diff != "" {
		t.Error(diff)
	}
	if m := missing("3", "a"); m != nil {
		t.Errorf("missing %v of what is there", m)
	}
	if m := missing("4"); m != nil {
		t.Errorf("missing %v of nothing", m)
	}
	missing("5", "b", "z")
	g.Drop("5")
	arrived := func(id string, want ...string) {
		t.Helper()
		store.come(id)
		got := g.Arrived(id)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after %s: %s", id, diff)
		}
	}
	arrived("b", "2")
	arrived("b")
	arrived("c", "1")
	arrived("z")
	if g.count != 0 || len(g.sets)+len(g.lackers)+len(g.waits) != 0 {
		t.Errorf("left over: %+v", g)
	}
}

func TestGathererIsBounded(t *testing.T) {
	store := &present{}
	g := NewGatherer()
	g.count = maxGathering - 1
	if _, err := g.Add("1", []string{"a", "b"}, store.lacking); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	if _, err := g.Add("1", []string{"a"}, store.lacking); err != nil {
		t.Error(err)
	}
}

func TestGathererForgetsWhatItCouldNotLookUp(t *testing.T) {
	g := NewGatherer()
	failing := func([]string) ([]string, error) { return nil, os.ErrDeadlineExceeded }
	if _, err := g.Add("1", []string{"a"}, failing); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if len(g.sets)+len(g.lackers)+g.count != 0 {
		t.Errorf("left over: %+v", g)
	}
	if err := g.Wait(t.Context(), "a", func() (bool, error) { return false, os.ErrDeadlineExceeded }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestGathererWait(t *testing.T) {
	store := &present{ids: map[string]bool{"a": true}}
	g := NewGatherer()
	if err := g.Wait(t.Context(), "a", store.is("a")); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := g.Wait(t.Context(), "b", store.is("b")); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if err := g.Wait(ctx, "c", store.is("c")); !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
		})
	}
	store.come("b")
	g.Arrived("b")
	cancel(os.ErrProcessDone)
	all.Wait()
	if len(g.waits) != 0 {
		t.Errorf("%d waits are left over", len(g.waits))
	}
}

// TestGathererLosesNoCompletion adds sets while their objects come.
func TestGathererLosesNoCompletion(t *testing.T) {
	store := &present{ids: map[string]bool{}}
	g := NewGatherer()
	var mu sync.Mutex
	complete := map[string]bool{}
	done := func(keys ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, key := range keys {
			complete[key] = true
		}
	}
	const n = 200
	id := func(i int) string { return fmt.Sprint("object ", i%n) }
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			key := fmt.Sprint("key ", i)
			missing, err := g.Add(key, []string{id(i), id(i + 1), id(i + 7)}, store.lacking)
			if err != nil {
				t.Error(err)
			}
			if len(missing) == 0 {
				done(key)
			}
		})
		all.Go(func() {
			store.come(id(i))
			done(g.Arrived(id(i))...)
		})
	}
	all.Wait()
	if len(complete) != n || g.count != 0 || len(g.sets)+len(g.lackers) != 0 {
		t.Errorf("%d of %d sets are complete; left over: %d ids, %d sets, %d lackers", len(complete), n, g.count, len(g.sets), len(g.lackers))
	}
}

func TestGathererAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := &present{ids: map[string]bool{}}
		g := NewGatherer()
		model := map[string]map[string]bool{}
		ids := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		keys := rapid.SampledFrom([]string{"1", "2", "3"})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				key, set := keys.Draw(t, "key"), rapid.SliceOf(ids).Draw(t, "ids")
				missing, err := g.Add(key, set, store.lacking)
				if err != nil {
					t.Fatal(err)
				}
				lacks := map[string]bool{}
				for _, id := range set {
					if !store.ids[id] {
						lacks[id] = true
					}
				}
				if len(missing) != len(lacks) {
					t.Fatalf("missing %v, want %v", missing, lacks)
				}
				delete(model, key)
				if len(lacks) > 0 {
					model[key] = lacks
				}
			},
			"arrive": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				store.come(id)
				complete := g.Arrived(id)
				for key, lacks := range model {
					if !lacks[id] {
						continue
					}
					if delete(lacks, id); len(lacks) == 0 {
						delete(model, key)
						if !slices.Contains(complete, key) {
							t.Fatalf("%s is complete and was not told", key)
						}
					}
				}
			},
			"drop": func(t *rapid.T) {
				key := keys.Draw(t, "key")
				g.Drop(key)
				delete(model, key)
			},
			"": func(t *rapid.T) {
				var count int
				for _, lacks := range model {
					count += len(lacks)
				}
				if g.count != count || len(g.sets) != len(model) {
					t.Fatalf("it counts %d ids in %d sets, and not %d in %d", g.count, len(g.sets), count, len(model))
				}
			},
		})
	})
}

// A set that is complete says so, also when another set, which began to wait for the last
// object after that had come, does not know it yet.
func TestGathererDoesNotMissWhatOnlyOthersLack(t *testing.T) {
	g := NewGatherer()
	missing, err := g.Add("a", []string{"x", "y"}, func([]string) ([]string, error) {
		if told := g.Arrived("x"); len(told) > 0 {
			t.Errorf("complete without y: %v", told)
		}
		_, err := g.Add("b", []string{"x", "z"}, func(ids []string) ([]string, error) { return ids, nil })
		return []string{"x"}, err // as it was before x came
	})
	if err != nil || len(missing) != 0 {
		t.Errorf("missing: %v, %v", missing, err)
	}
}
