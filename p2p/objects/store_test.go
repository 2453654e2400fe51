package objects

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// blob makes content that is the same for the same seed, and its id.
func blob(seed uint64, size int) ([]byte, string) {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 1}).Read(content)
	return content, object.Sum(content)
}

func newDir(t testing.TB) *Dir {
	t.Helper()
	d, err := OpenDir(filepath.Join(t.TempDir(), "objects"), DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func reopen(t testing.TB, d *Dir) *Dir {
	t.Helper()
	again, err := OpenDir(d.root, d.opts)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func put(t testing.TB, s Store, content []byte) string {
	t.Helper()
	id := object.Sum(content)
	if err := s.Put(context.Background(), id, int64(len(content)), bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return id
}

func get(t testing.TB, s Store, id string) []byte {
	t.Helper()
	f, err := s.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(content)) != f.Size() {
		t.Fatalf("%d bytes were read, Size is %d", len(content), f.Size())
	}
	return content
}

// filesIn lists a folder of the store.
func filesIn(t testing.TB, d *Dir, name string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(d.root, name))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// TestStore is what every Store has to do; it runs on a fresh Dir and on one that was used
// and opened again.
func TestStore(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) Store{
		"fresh":    func(t *testing.T) Store { return newDir(t) },
		"reopened": func(t *testing.T) Store { return reopen(t, newDir(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("keeps what it is given", func(t *testing.T) { storeKeeps(t, open(t)) })
			t.Run("refuses what is wrong", func(t *testing.T) { storeRefuses(t, open(t)) })
			t.Run("removes", func(t *testing.T) { storeRemoves(t, open(t)) })
			t.Run("resumes", func(t *testing.T) { storeResumes(t, open(t)) })
			t.Run("partials exclude each other", func(t *testing.T) { storeExcludes(t, open(t)) })
			t.Run("works in parallel", func(t *testing.T) { storeParallel(t, open(t)) })
		})
	}
}

func storeKeeps(t *testing.T, s Store) {
	for _, size := range []int{0, 1, smallObject, smallObject + 1, copyBlock*2 + 17} {
		content, id := blob(1, size)
		if s.Has(id) {
			t.Errorf("size %d: it is there before it was put", size)
		}
		for range 2 { // the second time it is read off
			r := bytes.NewReader(append(slices.Clip(content), "next"...))
			if err := s.Put(t.Context(), id, int64(size), iotest.HalfReader(r)); err != nil {
				t.Fatal(err)
			}
			if r.Len() != len("next") {
				t.Errorf("size %d: %d bytes are left in the reader", size, r.Len())
			}
		}
		if n, err := s.Size(id); n != int64(size) || err != nil || !s.Has(id) {
			t.Errorf("size %d: Size = %d, %v, Has = %v", size, n, err, s.Has(id))
		}
		if err := s.Verify(id); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(get(t, s, id), content) {
			t.Errorf("size %d: other bytes came back", size)
		}
	}
}

func storeRefuses(t *testing.T, s Store) {
	content, id := blob(2, 100_000)
	small, smallID := blob(2, 10)
	for name, tt := range map[string]struct {
		id   string
		size int64
		r    io.Reader
		want error
	}{
		"other bytes":         {id, 100_000, bytes.NewReader(make([]byte, 100_000)), ErrMismatch},
		"other small bytes":   {smallID, 10, bytes.NewReader(make([]byte, 10)), ErrMismatch},
		"a part":              {id, 99_999, bytes.NewReader(content), ErrMismatch},
		"an early end":        {id, 100_000, bytes.NewReader(content[:70_000]), io.ErrUnexpectedEOF},
		"an early small end":  {smallID, 10, bytes.NewReader(small[:5]), io.ErrUnexpectedEOF},
		"a failing reader":    {id, 100_000, iotest.ErrReader(os.ErrDeadlineExceeded), os.ErrDeadlineExceeded},
		"a bad id":            {"../../etc/passwd", 10, bytes.NewReader(small), ErrBadID},
		"a negative size":     {id, -1, bytes.NewReader(content), ErrTooLarge},
		"more than a disk is": {id, 1 << 60, bytes.NewReader(content), ErrTooLarge},
	} {
		if err := s.Put(t.Context(), tt.id, tt.size, tt.r); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrProcessDone)
	if err := s.Put(ended, id, 100_000, bytes.NewReader(content)); err == nil {
		t.Error("an ended context was ignored")
	}
	for _, err := range []error{
		second(s.Open(id)), second(s.Size(id)), s.Verify(id), second(s.Open(smallID)),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("after all refusals: %v", err)
		}
	}
	for _, err := range []error{
		second(s.Open("x")), second(s.Size("")), s.Verify("x"), s.Remove("x"),
		second(s.Partial(t.Context(), "x")), second(s.TryPartial(t.Context(), "x")),
	} {
		if !errors.Is(err, ErrBadID) {
			t.Errorf("bad id: %v", err)
		}
	}
	put(t, s, content) // a refusal leaves nothing in the way
	if err := s.Put(t.Context(), id, 5, bytes.NewReader(content)); !errors.Is(err, ErrMismatch) {
		t.Errorf("a stored object with another size: %v", err)
	}
	if !bytes.Equal(get(t, s, id), content) {
		t.Error("and now its bytes are others")
	}
}

func second[T any](_ T, err error) error { return err }

func storeRemoves(t *testing.T, s Store) {
	content, id := blob(3, 200_000)
	if err := s.Remove(id); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
	put(t, s, content)
	f, err := s.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := s.Remove(id); err != nil {
		t.Fatal(err)
	}
	if s.Has(id) {
		t.Error("it is there after it was removed")
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, content) {
		t.Errorf("an open file gave %d bytes, %v", len(got), err)
	}
}

func storeResumes(t *testing.T, s Store) {
	content, id := blob(4, 300_000)
	size := int64(len(content))
	for at := 0; at < len(content); at += 100_000 {
		p := partial0(t, s, id, int64(at))
		if _, err := p.Write([]byte("early")); err == nil {
			t.Error("a write before Expect was taken")
		}
		if err := p.Expect(t.Context(), size); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(content[at : at+100_000]); err != nil {
			t.Fatal(err)
		}
		if at+100_000 < len(content) {
			if err := p.Commit(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("half an object was committed: %v", err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if _, err := p.Write([]byte("more")); !errors.Is(err, ErrMismatch) {
			t.Errorf("more than the object was taken: %v", err)
		}
		if err := p.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(p.Close(), p.Discard()); err != nil {
			t.Errorf("after the end: %v", err)
		}
	}
	if !bytes.Equal(get(t, s, id), content) {
		t.Error("other bytes came back")
	}
	if p, err := s.Partial(t.Context(), id); p != nil || err != nil {
		t.Errorf("a Partial of a stored object: %v, %v", p, err)
	}

	// Wrong bytes, a discarded transfer, a size that shrinks, and a removed object start anew.
	content, id = blob(5, 1000)
	p := partial0(t, s, id, 0)
	expectAndWrite(t, p, 1000, make([]byte, 1000))
	if err := p.Commit(t.Context()); !errors.Is(err, ErrMismatch) {
		t.Errorf("wrong bytes were committed: %v", err)
	}
	p = partial0(t, s, id, 0)
	expectAndWrite(t, p, 1000, content[:500])
	if err := p.Discard(); err != nil {
		t.Fatal(err)
	}
	p = partial0(t, s, id, 0)
	expectAndWrite(t, p, 1000, content[:500])
	if err := p.Expect(t.Context(), 400); err != nil || p.Offset() != 0 {
		t.Errorf("after a size that shrank: offset %d, %v", p.Offset(), err)
	}
	if err := p.Expect(t.Context(), 1<<60); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	expectAndWrite(t, p, 1000, content[:300])
	if err := errors.Join(p.Close(), s.Remove(id)); err != nil {
		t.Fatal(err)
	}
	p = partial0(t, s, id, 0)
	expectAndWrite(t, p, 1000, content)
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func partial0(t *testing.T, s Store, id string, wantOffset int64) Partial {
	t.Helper()
	p, err := s.TryPartial(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if p.Offset() != wantOffset {
		t.Fatalf("offset %d, want %d", p.Offset(), wantOffset)
	}
	return p
}

func expectAndWrite(t *testing.T, p Partial, size int64, b []byte) {
	t.Helper()
	if err := p.Expect(t.Context(), size); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(b); err != nil {
		t.Fatal(err)
	}
}

func storeExcludes(t *testing.T, s Store) {
	content, id := blob(6, 1000)
	first := partial0(t, s, id, 0)
	if _, err := s.TryPartial(t.Context(), id); !errors.Is(err, ErrBusy) {
		t.Errorf("a second Partial: %v", err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrProcessDone)
	if _, err := s.Partial(ended, id); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("waiting with an ended context: %v", err)
	}
	got := make(chan Partial)
	go func() {
		p, err := s.Partial(t.Context(), id)
		if err != nil {
			t.Error(err)
		}
		got <- p
	}()
	expectAndWrite(t, first, 1000, content[:10])
	if err := s.Remove(id); err != nil { // does not disturb a transfer
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	p := <-got
	if p.Offset() != 10 {
		t.Errorf("the one who waited starts at %d", p.Offset())
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func storeParallel(t *testing.T, s Store) {
	var all sync.WaitGroup
	for i := range 300 {
		content, id := blob(uint64(i%100), 1000*(i%100)) // each three times
		all.Go(func() {
			if err := s.Put(context.Background(), id, int64(len(content)), bytes.NewReader(content)); err != nil {
				t.Error(err)
			}
			if !s.Has(id) {
				t.Errorf("object %d is stored, but not there", i)
			}
		})
	}
	all.Wait()
	for i := range 100 {
		content, id := blob(uint64(i), 1000*i)
		if !bytes.Equal(get(t, s, id), content) {
			t.Errorf("object %d came back with other bytes", i)
		}
	}
}
