package objects

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
)

// disk is the part of the file system whose order matters for durability. Tests put a
// disk in its place that forgets at power loss what was not synced.
type disk interface {
	SyncFile(f *os.File) error
	Rename(from, to string) error
	SyncDir(path string) error
}

// osDisk is the real one.
type osDisk struct{}

func (osDisk) SyncFile(f *os.File) error    { return f.Sync() }
func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// committer makes written files durable under their final name. Writers that come while
// a batch is under way form the next one, and its fsyncs run side by side: the file system
// merges them, so that a hundred small objects cost little more than one. Nothing is
// skipped; each file is on disk before it gets its name, and its name is before the writer
// is told.
//
//	waiting ──► leading (the first of a batch) ──► done
//	        └─► following ───────────────────────► done
//
// There is no goroutine to own: the first writer of a batch does the work of all.
type committer struct {
	disk disk

	mu      sync.Mutex
	queue   []*commit
	busy    bool                // somebody leads
	pending map[string]*pending // by final path
}

// pending are the commits to one name that are under way.
type pending struct {
	count int
	safe  bool // a file of this name would survive power loss
}

// commit is one file on its way to its name.
type commit struct {
	file     *os.File // open for writing, complete
	from, to string

	lead chan struct{} // told to lead the next batch
	done chan struct{} // closed when err is set
	err  error
}

func newCommitter(disk disk) *committer {
	return &committer{disk: disk, pending: make(map[string]*pending)}
}

// isPending tells that a file may be seen under its name but might not survive power loss
// yet.
func (c *committer) isPending(path string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[path]
	return p != nil && !p.safe
}

// forget notes that a file is removed.
func (c *committer) forget(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pending[path]; p != nil {
		p.safe = false
	}
}

// enterLocked counts a commit in. A file that has the name while none is under way is a
// durable one.
func (c *committer) enterLocked(path string) {
	p := c.pending[path]
	if p == nil {
		_, err := os.Lstat(path)
		p = &pending{safe: err == nil}
		c.pending[path] = p
	}
	p.count++
}

// leaveLocked counts a commit out.
func (c *committer) leaveLocked(job *commit) {
	p := c.pending[job.to]
	switch {
	case job.err == nil:
		p.safe = true
	case !p.safe:
		// What may vanish must not be taken for stored by the next who looks.
		_ = os.Remove(job.to)
	}
	if p.count--; p.count == 0 {
		delete(c.pending, job.to)
	}
}

// commit returns when the file is durable under its new name, or could not be made so; it
// is not interrupted, since the disk does not take less time for that.
func (c *committer) commit(file *os.File, to string) error {
	job := &commit{file: file, from: file.Name(), to: to, lead: make(chan struct{}), done: make(chan struct{})}
	c.mu.Lock()
	c.queue = append(c.queue, job)
	c.enterLocked(to)
	leads := !c.busy
	c.busy = true
	c.mu.Unlock()
	if !leads {
		select {
		case <-job.done:
			return job.err
		case <-job.lead:
		}
	}
	c.work()
	<-job.done
	return job.err
}

// work commits the batch that waits now, and hands the lead to the next one.
func (c *committer) work() {
	c.mu.Lock()
	batch := c.queue[:min(len(c.queue), maxBatch)]
	c.queue = c.queue[len(batch):]
	c.mu.Unlock()

	c.flush(batch)

	c.mu.Lock()
	defer c.mu.Unlock()
	for _, job := range batch {
		c.leaveLocked(job)
		close(job.done)
	}
	if c.busy = len(c.queue) > 0; c.busy {
		close(c.queue[0].lead)
	}
}

// flush takes a batch through the three steps, all files through one before the next.
func (c *committer) flush(batch []*commit) {
	each(batch, func(job *commit) {
		if err := c.disk.SyncFile(job.file); err != nil {
			job.err = fmt.Errorf("sync: %w", err)
		}
	})
	dirs := make(map[string]error)
	for _, job := range batch {
		if job.err != nil {
			continue
		}
		if err := c.disk.Rename(job.from, job.to); err != nil {
			job.err = err
			continue
		}
		dirs[filepath.Dir(job.to)] = nil
	}
	syncDirs(c.disk, dirs)
	for _, job := range batch {
		if err := dirs[filepath.Dir(job.to)]; job.err == nil && err != nil {
			job.err = fmt.Errorf("sync folder: %w", err)
		}
	}
}

// syncDirs fsyncs the folders and notes the errors.
func syncDirs(disk disk, dirs map[string]error) {
	paths := make([]string, 0, len(dirs))
	for path := range dirs {
		paths = append(paths, path)
	}
	var mu sync.Mutex
	each(paths, func(path string) {
		if err := disk.SyncDir(path); err != nil {
			mu.Lock()
			defer mu.Unlock()
			dirs[path] = err
		}
	})
}

// each calls do for all, some at a time.
func each[T any](all []T, do func(T)) {
	if len(all) == 1 {
		do(all[0])
		return
	}
	var g errgroup.Group
	g.SetLimit(syncers)
	for _, one := range all {
		g.Go(func() error { do(one); return nil })
	}
	_ = g.Wait() // they return nil
}

// publish commits a verified file as the object id and trusts it from then on.
func (d *Dir) publish(ctx context.Context, id string, f *os.File) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("store object %s: %w", id, err)
	}
	if err := d.commits.commit(f, d.path(id)); err != nil {
		return storeError("store", id, err)
	}
	if info, err := f.Stat(); err == nil {
		d.trusted.add(id, lookOf(info))
	}
	return nil
}
