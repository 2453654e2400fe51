package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// flip changes one bit of a stored file.
func flip(t testing.TB, d *Dir, id string, at int64) {
	t.Helper()
	f, err := os.OpenFile(d.path(id), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestAFlippedBitIsFoundAtOpen(t *testing.T) {
	content, id := blob(1, 200_000)
	for name, age := range map[string]func(d *Dir) *Dir{
		"while the process runs": func(d *Dir) *Dir { return d },
		"after a restart":        func(d *Dir) *Dir { return reopen(t, d) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDir(t)
			put(t, d, content)
			flip(t, d, id, 123_456)
			d = age(d)
			if _, err := d.Open(id); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("Open: %v", err)
			}
			if _, err := d.Open(id); !errors.Is(err, ErrNotFound) || d.Has(id) {
				t.Errorf("after it was found: %v, Has = %v", err, d.Has(id))
			}
			if kept := filesIn(t, d, "corrupt"); len(kept) != 1 || kept[0] != id {
				t.Errorf("set aside: %v", kept)
			}
			put(t, d, content)
			if !bytes.Equal(get(t, d, id), content) {
				t.Error("it could not be replaced")
			}
		})
	}
}

func TestATruncatedFileIsReplacedByPut(t *testing.T) {
	d := newDir(t)
	content, id := blob(1, 200_000)
	put(t, d, content)
	if err := os.Truncate(d.path(id), 1000); err != nil {
		t.Fatal(err)
	}
	put(t, d, content)
	if !bytes.Equal(get(t, d, id), content) {
		t.Error("the truncated file is still there")
	}
}

func TestVerifyLooksAgain(t *testing.T) {
	d := newDir(t)
	content, id := blob(1, 200_000)
	put(t, d, content)
	info, err := os.Stat(d.path(id))
	if err != nil {
		t.Fatal(err)
	}
	flip(t, d, id, 5)
	// A disk that fails does not tell the time of it.
	if err := os.Chtimes(d.path(id), time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(id); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Verify: %v", err)
	}
}

func TestCorruptFilesAreKeptInBounds(t *testing.T) {
	d := newDir(t)
	for i := range maxSetAside + 5 {
		content, id := blob(uint64(i), 1000)
		put(t, d, content)
		flip(t, d, id, 0)
		if _, err := d.Open(id); !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if d.Has(id) {
			t.Error("a corrupt object is still there")
		}
	}
	if kept := filesIn(t, d, "corrupt"); len(kept) != maxSetAside {
		t.Errorf("%d files are kept", len(kept))
	}
}

func TestOpenDirClearsWhatWasLeft(t *testing.T) {
	d := newDir(t)
	_, old := blob(1, 10)
	_, young := blob(2, 10)
	for _, name := range []string{"tmp/put-1", "partial/" + old, "partial/" + young} {
		if err := os.WriteFile(filepath.Join(d.root, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-DefaultPartialLife - time.Minute)
	if err := os.Chtimes(filepath.Join(d.root, "partial", old), long, long); err != nil {
		t.Fatal(err)
	}
	d = reopen(t, d)
	if left := filesIn(t, d, "tmp"); len(left) != 0 {
		t.Errorf("tmp has %v", left)
	}
	if left := filesIn(t, d, "partial"); len(left) != 1 || left[0] != young {
		t.Errorf("partial has %v", left)
	}
}

func TestFailedPutsLeaveNoFiles(t *testing.T) {
	d := newDir(t)
	content, id := blob(1, 200_000)
	for range 3 {
		if err := d.Put(t.Context(), id, 200_000, bytes.NewReader(content[:150_000])); err == nil {
			t.Fatal("half an object was stored")
		}
	}
	if left := filesIn(t, d, "tmp"); len(left) != 0 {
		t.Errorf("tmp has %v", left)
	}
}

func TestAFullDiskIsToldAsSuch(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full: ", err)
	}
	defer full.Close()
	content, id := blob(1, 200_000)
	err = fill(t.Context(), full, object.NewHash(), 200_000, bytes.NewReader(content))
	if !errors.Is(err, ErrNoSpace) {
		t.Errorf("put: %v", err)
	}
	p, err := newDir(t).Partial(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Expect(t.Context(), 200_000); err != nil {
		t.Fatal(err)
	}
	inner := p.(*partial)
	file := inner.file
	inner.file = full
	if _, err := p.Write(content); !errors.Is(err, ErrNoSpace) {
		t.Errorf("partial: %v", err)
	}
	inner.file = file
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if err := storeError("store", id, &os.PathError{Op: "write", Err: cause}); !errors.Is(err, ErrNoSpace) {
			t.Errorf("%v is not told as a full disk", cause)
		}
	}
}

func TestOpenDirOnAReadOnlyFolder(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write anywhere")
	}
	path := t.TempDir()
	if err := os.Chmod(path, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(filepath.Join(path, "objects"), DirOptions{}); !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
}

func TestWritersAreBounded(t *testing.T) {
	d, err := OpenDir(t.TempDir(), DirOptions{MaxWriters: 2})
	if err != nil {
		t.Fatal(err)
	}
	content, id := blob(1, 200_000)
	gate := make(chan struct{})
	entered := make(chan struct{}, 10)
	var puts sync.WaitGroup
	for range 6 {
		puts.Go(func() {
			r := &gated{Reader: bytes.NewReader(content), entered: entered, gate: gate}
			if err := d.Put(context.Background(), id, 200_000, r); err != nil {
				t.Error(err)
			}
		})
	}
	<-entered
	<-entered
	if open := len(filesIn(t, d, "tmp")); open != 2 {
		t.Errorf("%d objects are being written", open)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Put(ctx, id, 200_000, bytes.NewReader(content)); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a place: %v", err)
	}
	close(gate)
	puts.Wait()
}

type gated struct {
	*bytes.Reader
	once    sync.Once
	entered chan<- struct{}
	gate    <-chan struct{}
}

func (g *gated) Read(p []byte) (int, error) {
	g.once.Do(func() { g.entered <- struct{}{}; <-g.gate })
	return g.Reader.Read(p)
}

func TestNoFilesStayOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts descriptors in /proc")
	}
	d := newDir(t)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := count()
	for i := range 50 {
		content, id := blob(uint64(i), 100_000)
		if i%2 == 0 {
			put(t, d, content)
			get(t, d, id)
			continue
		}
		p := partial0(t, d, id, 0)
		expectAndWrite(t, p, 100_000, content)
		end := []func() error{p.Close, p.Discard, func() error { return p.Commit(t.Context()) }}[i%3]
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	if after := count(); after > before+3 { // the runtime opens some of its own
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{200, 4 << 10, 5 << 20, 100 << 20} {
		for _, writers := range []int{1, 2, 32} {
			if size > 1<<20 && writers > 2 {
				continue
			}
			b.Run(fmt.Sprintf("size=%d/writers=%d", size, writers), func(b *testing.B) {
				d := newDir(b)
				b.SetBytes(int64(size))
				var next int
				var mu sync.Mutex
				content, _ := blob(1, size)
				var all sync.WaitGroup
				b.ResetTimer()
				for range writers {
					all.Go(func() {
						own := bytes.Clone(content)
						for {
							mu.Lock()
							n := next
							next++
							mu.Unlock()
							if n >= b.N {
								return
							}
							copy(own, fmt.Sprint(n)) // another object each time
							id := object.Sum(own)
							if err := d.Put(context.Background(), id, int64(size), bytes.NewReader(own)); err != nil {
								b.Error(err)
								return
							}
							if size > 1<<20 {
								_ = d.Remove(id)
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}

func BenchmarkHas(b *testing.B) {
	d := newDir(b)
	content, id := blob(1, 1000)
	put(b, d, content)
	for b.Loop() {
		if !d.Has(id) {
			b.Fatal("it is gone")
		}
	}
}
