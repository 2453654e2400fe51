package objects

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// liar is a Store that gives wrong bytes for every object. Verify finds nothing wrong.
type liar struct {
	Store
	// size of what it gives for an object that is asked for from an offset, or as it is if nil.
	size func(real int64) int64
}

func (l liar) Verify(string) error { return nil }

func (l liar) Open(id string) (File, error) {
	size, err := l.Size(id)
	if err != nil {
		return nil, err
	}
	if l.size != nil {
		size = l.size(size)
	}
	return lie{io.NewSectionReader(zeros{}, 0, size)}, nil
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

type lie struct{ *io.SectionReader }

func (lie) Close() error { return nil }

func (l lie) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, io.NewSectionReader(l, 0, l.Size()))
}

func TestWrongBytesAreBlamedOnWhoSentThem(t *testing.T) {
	dir := newDir(t)
	sizes := make([]int, 40)
	for i := range sizes {
		sizes[i] = 100_000 + i
	}
	contents, ids := fillStore(t, dir, sizes...)
	honest, lying := serve(t, dir, anybody, ServerOptions{}), serve(t, liar{Store: dir}, anybody, ServerOptions{})
	to := newDir(t)
	// Small chunks have each of the two go on where the other one stopped.
	f := NewFetcher(newHost(t), to, FetchOptions{Chunk: 30_000, Streams: 2})
	if err := f.Fetch(t.Context(), testRun, ids, lying.provider(), honest.provider()); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
	if !f.blamed.has(lying.host.ID()) || f.blamed.has(honest.host.ID()) {
		t.Errorf("blamed: the liar %v, the honest one %v", f.blamed.has(lying.host.ID()), f.blamed.has(honest.host.ID()))
	}
	// Who was blamed is not asked while there is somebody else.
	content, id := blob(99, 500)
	put(t, dir, content)
	before := lying.meter.sent.Load()
	if err := f.Fetch(t.Context(), testRun, []string{id}, lying.provider(), honest.provider()); err != nil {
		t.Fatal(err)
	}
	if lying.meter.sent.Load() != before {
		t.Error("the blamed peer was asked again")
	}
}

func TestALiarAloneEndsTheFetch(t *testing.T) {
	dir := newDir(t)
	_, ids := fillStore(t, dir, 200_000)
	for name, size := range map[string]func(int64) int64{
		"same size":     nil,
		"smaller":       func(n int64) int64 { return n / 2 },
		"larger":        func(n int64) int64 { return 2 * n },
		"empty":         func(int64) int64 { return 0 },
		"ever changing": func() func(int64) int64 { n := int64(200_000); return func(int64) int64 { n -= 20_000; return n } }(),
	} {
		from := serve(t, liar{dir, size}, anybody, ServerOptions{})
		to := newDir(t)
		f := NewFetcher(newHost(t), to, FetchOptions{Chunk: 60_000, Streams: 1})
		err := f.Fetch(t.Context(), testRun, ids, from.provider())
		if !errors.Is(err, ErrMismatch) || !Permanent(err) || !strings.Contains(err.Error(), from.host.ID().String()) {
			t.Errorf("%s: %v", name, err)
		}
		if to.Has(ids[0]) || len(filesIn(t, to, "partial")) > 0 {
			t.Errorf("%s: wrong bytes are kept", name)
		}
	}
}

func TestAPeerLooksAtItsCopyAfterAComplaint(t *testing.T) {
	dir := newDir(t)
	content, id := blob(1, 200_000)
	put(t, dir, content)
	// The disk gives other bytes than it was given, and nothing else shows it.
	flip(t, dir, id, 100)
	f, err := dir.Open("0" + id[1:])
	if !errors.Is(err, ErrNotFound) {
		t.Fatal(f, err)
	}
	trustAsItIs(t, dir, id)
	from := serve(t, dir, anybody, ServerOptions{})
	err = NewFetcher(newHost(t), newDir(t), FetchOptions{}).Fetch(t.Context(), testRun, []string{id}, from.provider())
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if kept := filesIn(t, dir, "corrupt"); len(kept) != 1 {
		t.Error("the corrupt file was not found")
	}
	put(t, dir, content)
	to := newDir(t)
	if err := NewFetcher(newHost(t), to, FetchOptions{}).Fetch(t.Context(), testRun, []string{id}, from.provider()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(get(t, to, id), content) {
		t.Error("other bytes came")
	}
}

// trustAsItIs makes a Dir believe that it has verified the file.
func trustAsItIs(t *testing.T, d *Dir, id string) {
	t.Helper()
	info, err := os.Stat(d.path(id))
	if err != nil {
		t.Fatal(err)
	}
	d.trusted.add(id, lookOf(info))
}

func TestBytesFromBeforeAreNobodysFault(t *testing.T) {
	dir := newDir(t)
	contents, ids := fillStore(t, dir, 200_000)
	from := serve(t, dir, anybody, ServerOptions{})
	to := newDir(t)
	p := partial0(t, to, ids[0], 0)
	expectAndWrite(t, p, 200_000, make([]byte, 1000)) // a crash left zeros
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	f := NewFetcher(newHost(t), to, FetchOptions{})
	if err := f.Fetch(t.Context(), testRun, ids, from.provider()); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
	if f.blamed.has(from.host.ID()) {
		t.Error("an honest peer is blamed")
	}
}

func TestBlameIsForgottenAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlameList()
		b.add("a")
		time.Sleep(blameTime - time.Millisecond)
		if !b.has("a") || b.has("b") {
			t.Error("blame fell on another, or too short")
		}
		time.Sleep(time.Millisecond)
		if b.has("a") {
			t.Error("blame lasts too long")
		}
		for i := range 3 * maxBlamed {
			b.add(peer.ID(rune(i)))
		}
		if len(b.until) > maxBlamed || !b.has(peer.ID(rune(3*maxBlamed-1))) {
			t.Errorf("%d peers are remembered", len(b.until))
		}
	})
}
