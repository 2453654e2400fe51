package messages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// table is a store of messages that can be told to fail.
type table struct {
	state.Messages // what is not written here is not called

	mu       sync.Mutex
	messages map[string]state.Message
	known    map[string]bool // run and id; true: held
	fail     bool
}

func newTable() *table {
	return &table{messages: make(map[string]state.Message), known: make(map[string]bool)}
}

var errDisk = errors.New("disk is full")

func (s *table) RegisterObjects(_ context.Context, runID uint64, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if _, known := s.known[fmt.Sprint(runID, id)]; !known {
			s.known[fmt.Sprint(runID, id)] = false
		}
	}
	return nil
}

func (s *table) HoldObjects(_ context.Context, runID uint64, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return errDisk
	}
	for _, id := range ids {
		if _, known := s.known[fmt.Sprint(runID, id)]; known {
			s.known[fmt.Sprint(runID, id)] = true
		}
	}
	return nil
}

func (s *table) UnheldObjects(_ context.Context, runID uint64, ids []string) (unheld []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if !s.known[fmt.Sprint(runID, id)] {
			unheld = append(unheld, id)
		}
	}
	return unheld, nil
}

func (s *table) RunHasObject(_ context.Context, runID uint64, id string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.known[fmt.Sprint(runID, id)]
	return known, nil
}

func (s *table) InsertInstructions(_ context.Context, msgs []state.Message) ([]error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return nil, errDisk
	}
	for _, m := range msgs {
		if _, known := s.messages[m.ID]; !known {
			s.messages[m.ID] = m
		}
	}
	return make([]error, len(msgs)), nil
}

func (s *table) InsertReply(ctx context.Context, m state.Message, _ time.Duration) error {
	_, err := s.InsertInstructions(ctx, []state.Message{m})
	return err
}

func (s *table) MarkComplete(_ context.Context, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return errDisk
	}
	for _, id := range ids {
		if m := s.messages[id]; m.State == state.Gathering {
			m.State = state.Waiting
			s.messages[id] = m
		}
	}
	return nil
}

func (s *table) GatheringMessages(context.Context) ([]state.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []state.Message
	for _, m := range s.messages {
		if m.State == state.Gathering {
			found = append(found, m)
		}
	}
	return found, nil
}

func (s *table) state(id string) state.MessageState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages[id].State
}

func content(n int) (id, text string) {
	text = fmt.Sprint("object ", n)
	return object.Sum([]byte(text)), text
}

// Whatever comes in whatever order, with failures and restarts in between: a message is visible
// exactly when its own run has been given all its objects, as soon as the disk works. What was
// given to another run does not count, and is not written twice.
func TestVisibleExactlyWhenWhole(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		store := newTable()
		disk, err := objects.OpenDir(fmt.Sprintf("%s/%d", dir, runs), objects.DirOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		start := func() *Office { return New(store, disk) }
		in := start()
		const kinds = 6
		needs := make(map[string][]string)
		pickRun := rapid.Uint64Range(1, 2)
		has := func(run uint64, id string) bool {
			unheld, _ := store.UnheldObjects(rt.Context(), run, []string{id})
			return len(unheld) == 0 && disk.Has(id)
		}
		runOf := func(key string) uint64 { return uint64(key[0] - '0') }
		pick := rapid.IntRange(0, kinds-1)
		rt.Repeat(map[string]func(*rapid.T){
			"announce": func(rt *rapid.T) {
				run := pickRun.Draw(rt, "run")
				key := fmt.Sprintf("%d: message %d", run, rapid.IntRange(0, 4).Draw(rt, "message"))
				ids := needs[key]
				if ids == nil {
					for _, n := range rapid.SliceOfNDistinct(pick, 1, 3, rapid.ID[int]).Draw(rt, "objects") {
						id, _ := content(n)
						ids = append(ids, id)
					}
				}
				_, missing, err := in.takeIn(rt.Context(), run, []incoming{{message: state.Message{ID: key, RunID: run}, objects: ids}})
				if errors.Is(err, errDisk) {
					return
				}
				if err != nil {
					rt.Fatal(err)
				}
				needs[key] = ids
				for _, id := range ids {
					if has(run, id) == slices.Contains(missing, id) {
						rt.Fatalf("object %s of run %d: there %t, asked for %t", id, run, has(run, id), !has(run, id))
					}
				}
			},
			"store": func(rt *rapid.T) {
				run := pickRun.Draw(rt, "run")
				id, text := content(pick.Draw(rt, "object"))
				known, _ := store.RunHasObject(rt.Context(), run, id)
				stored, err := in.StoreObject(rt.Context(), run, id, int64(len(text)), strings.NewReader(text))
				if err == nil && stored != known {
					rt.Fatalf("stored %t, known %t", stored, known)
				}
			},
			"break":  func(*rapid.T) { store.fail = true },
			"repair": func(*rapid.T) { store.fail = false },
			"restart": func(rt *rapid.T) {
				store.fail = false
				in = start()
				for key := range needs { // a tree of one level stands for each
					m := store.messages[key]
					if m.State != state.Gathering {
						continue
					}
					if _, err := in.await(rt.Context(), m.RunID, incoming{message: m, objects: needs[key]}); err != nil {
						rt.Fatal(err)
					}
				}
			},
			"": func(rt *rapid.T) {
				if store.fail {
					return
				}
				if err := in.complete(rt.Context(), nil); err != nil { // as the next call does
					rt.Fatal(err)
				}
				for key, ids := range needs {
					whole := !slices.ContainsFunc(ids, func(id string) bool { return !has(runOf(key), id) })
					if visible := store.state(key) == state.Waiting; visible != whole {
						rt.Fatalf("%s: visible %t, whole %t", key, visible, whole)
					}
				}
			},
		})
	})
}

// A run that knows the id of another run's object gets that object only by sending it.
func TestNamingAnObjectDoesNotGiveIt(t *testing.T) {
	disk, err := objects.OpenDir(t.TempDir(), objects.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in := New(newTable(), disk)
	id, text := content(1)
	names := func(run uint64, key string) (missing []string) {
		_, missing, err := in.takeIn(t.Context(), run, []incoming{{message: state.Message{ID: key, RunID: run}, objects: []string{id}}})
		if err != nil {
			t.Fatal(err)
		}
		return missing
	}
	opens := func(run uint64) bool {
		_, file, err := in.Open(t.Context(), run, id, time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if file != nil {
			_ = file.Close()
		}
		return file != nil
	}
	send := func(run uint64, text string) bool {
		stored, err := in.StoreObject(t.Context(), run, id, int64(len(text)), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return stored
	}
	names(1, "theirs")
	names(2, "early") // before the object is there
	if !send(1, text) || !opens(1) {
		t.Fatal("the run that sent it does not have it")
	}
	if missing := names(2, "late"); len(missing) != 1 || opens(2) {
		t.Error("a run was given the object of another")
	}
	if send(2, strings.Repeat("x", len(text))) || opens(2) {
		t.Error("bytes of the right length were enough")
	}
	if !send(2, text) || !opens(2) || in.store.(*table).state("early") != state.Waiting || in.store.(*table).state("late") != state.Waiting {
		t.Error("a run that sent the same object does not have it")
	}
}

// slowReader returns its bytes when it is told to.
type slowReader struct {
	from    *strings.Reader
	release chan struct{}
}

func (r *slowReader) Read(p []byte) (int, error) {
	<-r.release
	return r.from.Read(p)
}

func TestDropRunWaitsForWhatIsBeingWritten(t *testing.T) {
	disk, err := objects.OpenDir(t.TempDir(), objects.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		in := New(newTable(), disk)
		id, text := content(1)
		if err := in.store.RegisterObjects(t.Context(), 1, []string{id}); err != nil {
			t.Fatal(err)
		}
		body := &slowReader{strings.NewReader(text), make(chan struct{})}
		go func() { _, _ = in.StoreObject(t.Context(), 1, id, int64(len(text)), body) }()
		synctest.Wait()
		if err := in.DropRun(t.Context(), 2); err != nil {
			t.Fatal("another run: ", err)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := in.DropRun(impatient, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an object is being written, and DropRun said %v", err)
		}
		close(body.release)
		if err := in.DropRun(t.Context(), 1); err != nil {
			t.Error(err)
		}
		if !disk.Has(id) {
			t.Error("DropRun did not wait for the writing to end")
		}
	})
}
