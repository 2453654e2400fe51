package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// forgetful is a disk that can lose power: then files that were not synced lose their
// content, and names that were not synced with their folder are undone.
type forgetful struct {
	mu      sync.Mutex
	synced  map[string]bool     // files, by the name they had then
	renamed map[string][]rename // not synced yet, by folder
	calls   int
	dieAt   int // the call at which power is lost; 0: never
	dead    bool
}

type rename struct{ from, to string }

var errPower = errors.New("power is lost")

func (f *forgetful) step(do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.dead || f.calls == f.dieAt {
		f.dead = true
		return errPower
	}
	return do()
}

func (f *forgetful) SyncFile(file *os.File) error {
	return f.step(func() error { f.synced[file.Name()] = true; return nil })
}

func (f *forgetful) Rename(from, to string) error {
	return f.step(func() error {
		if !f.synced[from] {
			return errors.New("a file got its name before it was synced")
		}
		dir := filepath.Dir(to)
		// A name that is on disk already stays: it then shows the old file or the new one.
		if _, err := os.Lstat(to); err != nil || f.unsynced(to) {
			f.renamed[dir] = append(f.renamed[dir], rename{from, to})
		}
		return os.Rename(from, to)
	})
}

func (f *forgetful) unsynced(path string) bool {
	return slices.ContainsFunc(f.renamed[filepath.Dir(path)], func(r rename) bool { return r.to == path })
}

func (f *forgetful) SyncDir(path string) error {
	return f.step(func() error { delete(f.renamed, path); return nil })
}

// losePower undoes what was not synced.
func (f *forgetful) losePower(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, renames := range f.renamed {
		for _, r := range renames {
			if err := os.Rename(r.to, r.from); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}

func newForgetful(dieAt int) *forgetful {
	return &forgetful{synced: make(map[string]bool), renamed: make(map[string][]rename), dieAt: dieAt}
}

func TestWhatIsReportedAsStoredSurvivesPowerLoss(t *testing.T) {
	base := newDir(t)
	const puts = 12
	var lost, kept int
	for dieAt := 1; dieAt < 60; dieAt += 2 {
		root := filepath.Join(filepath.Dir(base.root), "power", fmt.Sprint(dieAt))
		if _, err := OpenDir(root, DirOptions{}); err != nil {
			t.Fatal(err)
		}
		disk := newForgetful(0)
		d, err := openDir(root, DirOptions{}, disk)
		if err != nil {
			t.Fatal(err)
		}
		disk.dieAt = disk.calls + dieAt
		var reported [puts]atomic.Bool
		var all sync.WaitGroup
		for i := range puts {
			all.Go(func() {
				// Each object is put twice at once: neither may rely on the other's half-done work.
				content, id := blob(uint64(i/2), 1000*(i/2+1))
				err := d.Put(context.Background(), id, int64(len(content)), bytes.NewReader(content))
				if err != nil && !errors.Is(err, errPower) {
					t.Error(err)
				}
				reported[i].Store(err == nil)
			})
		}
		all.Wait()
		disk.losePower(t)
		d, err = OpenDir(root, DirOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range puts {
			content, id := blob(uint64(i/2), 1000*(i/2+1))
			switch {
			case !reported[i].Load():
				lost++
			case !d.Has(id) || !bytes.Equal(get(t, d, id), content):
				t.Errorf("power lost at step %d: object %d was reported as stored and is gone", dieAt, i)
			default:
				kept++
			}
		}
	}
	if lost == 0 || kept == 0 {
		t.Errorf("the test has lost %d and kept %d objects: it looks at one side only", lost, kept)
	}
}

func TestWritersThatWaitTogetherShareABatch(t *testing.T) {
	disk := &slowDisk{forgetful: newForgetful(0), gate: make(chan struct{}), entered: make(chan struct{}, 1)}
	c := newCommitter(disk)
	dir := t.TempDir()
	var all sync.WaitGroup
	commit := func(name string) {
		all.Go(func() {
			f, err := os.Create(filepath.Join(dir, "tmp-"+name))
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			if err := c.commit(f, filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		})
	}
	commit("first")
	<-disk.entered // the first one leads, and its disk is slow
	const more = 40
	for i := range more {
		commit(string(rune('A' + i)))
	}
	for waiting := 0; waiting < more; {
		c.mu.Lock()
		waiting = len(c.queue)
		c.mu.Unlock()
	}
	close(disk.gate)
	all.Wait()
	// One folder sync for the first, one for all that waited meanwhile.
	if disk.dirs != 2 {
		t.Errorf("the folder was synced %d times for %d files", disk.dirs, more+1)
	}
	if len(c.pending) != 0 || c.busy {
		t.Errorf("after the end: %d pending, busy %v", len(c.pending), c.busy)
	}
}

// slowDisk waits in its first sync, and counts the syncs of folders.
type slowDisk struct {
	*forgetful
	once    sync.Once
	entered chan struct{}
	gate    chan struct{}
	dirs    int
}

func (d *slowDisk) SyncFile(f *os.File) error {
	d.once.Do(func() { d.entered <- struct{}{}; <-d.gate })
	return d.forgetful.SyncFile(f)
}

func (d *slowDisk) SyncDir(path string) error {
	d.dirs++ // one batch at a time, and one folder in it
	return d.forgetful.SyncDir(path)
}
