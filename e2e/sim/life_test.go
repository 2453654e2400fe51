package sim

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rhizome-fl/rhizome/p2p/objects"
)

var errDead = errors.New("the process is dead")

// life is one process: from its start to a crash.
//
//	        crash                    end
//	alive ─────────► dead (still moves, nothing counts) ─────────► gone
//
// At the crash the database files are copied as they are. Whatever the process does from then
// on reaches neither the network, nor its object store, nor any app.
type life struct {
	ctx  context.Context // it ends with the life
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	disk    *disk
	dead    bool
	toCrash int // frames until it crashes by itself; 0 if it does not
}

func newLife(d *disk) *life {
	l := &life{disk: d}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// arm makes the process crash right before it writes its n-th frame from now.
func (l *life) arm(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.toCrash = n
}

// crash ends the life as far as anybody can see.
func (l *life) crash() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crashLocked()
}

func (l *life) crashLocked() {
	if l.dead {
		return
	}
	// The process is dead before the copy is made, so all that others have seen is in the copy.
	l.dead = true
	l.disk.snapshot()
}

// beforeFrame is called before each frame that the process writes.
func (l *life) beforeFrame() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.toCrash == 1 {
		l.crashLocked()
	}
	l.toCrash = max(l.toCrash-1, 0)
	return l.aliveLocked()
}

func (l *life) alive() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.aliveLocked()
}

func (l *life) aliveLocked() error {
	if l.dead {
		return errDead
	}
	return nil
}

// end stops the process and waits until nothing of it runs any more.
func (l *life) end() {
	l.stop()
	l.work.Wait()
}

// owned is a process's view of its object store: after its death, the process changes nothing there.
type owned struct {
	objects.Store
	life *life
}

func (o owned) Put(ctx context.Context, id string, size int64, r io.Reader) error {
	if err := o.life.alive(); err != nil {
		return err
	}
	return o.Store.Put(ctx, id, size, r)
}

func (o owned) Remove(id string) error {
	if err := o.life.alive(); err != nil {
		return err
	}
	return o.Store.Remove(id)
}

// disk is the database folder of a process through all its lives. Each life has its own copy.
type disk struct {
	t    testing.TB
	root string

	mu    sync.Mutex
	lives int
}

// newDisk makes a disk with a database that already has its tables.
func newDisk(t testing.TB, root string, template []byte) *disk {
	t.Helper()
	d := &disk{t: t, root: root}
	if err := os.MkdirAll(d.folder(0), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.path(), template, 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// path is that of the database of the present life.
func (d *disk) path() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return filepath.Join(d.folder(d.lives), "state.db")
}

func (d *disk) folder(life int) string { return filepath.Join(d.root, string(rune('A'+life))) }

// snapshot copies the files as they are at this instant for the next life. A transaction that is
// being written is torn, as it would be by a crash. (The log is far from being written back, so
// file and log belong together.)
func (d *disk) snapshot() {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, next := d.folder(d.lives), d.folder(d.lives+1)
	d.lives++
	if err := os.MkdirAll(next, 0o700); err != nil {
		d.t.Error(err)
		return
	}
	for _, name := range []string{"state.db", "state.db-wal"} {
		content, err := os.ReadFile(filepath.Join(old, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(next, name), content, 0o600)
		}
		if err != nil {
			d.t.Error(err)
		}
	}
}
