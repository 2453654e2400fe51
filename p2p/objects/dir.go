package objects

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

var log = logs.For("p2p/objects")

// shards are the names of the folders.
const shards = "0123456789abcdef"

// DirOptions of a Dir. Zero values mean the defaults of limits.go.
type DirOptions struct {
	MaxSize      int64         // of an object, bytes
	MaxWriters   int           // objects written by Put at a time
	MaxReceivers int           // objects written by Partials at a time
	PartialLife  time.Duration // of an interrupted transfer
}

func (o DirOptions) withDefaults() DirOptions {
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.MaxWriters == 0 {
		o.MaxWriters = DefaultMaxWriters
	}
	if o.MaxReceivers == 0 {
		o.MaxReceivers = DefaultMaxReceivers
	}
	if o.PartialLife == 0 {
		o.PartialLife = DefaultPartialLife
	}
	return o
}

// Dir is the [Store] on disk. The caller must see to it that no other process uses the
// folder. It has no goroutines and keeps no files open, so there is nothing to close.
//
// The folder:
//
//	0 .. f/<id>    objects, by the first digit of their id
//	partial/<id>   what was received of objects on their way
//	tmp/           objects being written by Put; emptied by OpenDir
//	corrupt/<id>   files that were found not to be what their name says
//
// Sixteen folders, not more: the writers of a batch share the fsyncs of their folders, and
// file systems find a name among a hundred thousand as fast as among a hundred.
type Dir struct {
	root    string
	opts    DirOptions
	commits *committer
	trusted *trustList
	checks  singleflight.Group // hashing of files, by id
	// Two bounds, so that a thousand slow peers do not keep apps on this machine waiting.
	writers, receivers *semaphore.Weighted

	mu      sync.Mutex
	partial map[string]chan struct{} // ids with an open Partial; closed when it ends
}

// OpenDir opens the store in a folder, makes it if there is none, and clears away what
// earlier processes left unfinished.
func OpenDir(path string, opts DirOptions) (*Dir, error) { return openDir(path, opts, osDisk{}) }

func openDir(path string, opts DirOptions, disk disk) (*Dir, error) {
	d := &Dir{
		root:    path,
		opts:    opts.withDefaults(),
		commits: newCommitter(disk),
		trusted: newTrustList(),
		partial: make(map[string]chan struct{}),
	}
	d.writers = semaphore.NewWeighted(int64(d.opts.MaxWriters))
	d.receivers = semaphore.NewWeighted(int64(d.opts.MaxReceivers))
	if err := d.layOut(disk); err != nil {
		return nil, fmt.Errorf("open object store %s: %w", path, noSpace(err))
	}
	if err := d.sweep(time.Now()); err != nil {
		return nil, fmt.Errorf("clean object store %s: %w", path, err)
	}
	return d, nil
}

// layOut makes all folders at once, so that storing an object never has to.
func (d *Dir) layOut(disk disk) error {
	names := []string{"tmp", "partial", "corrupt"}
	for _, shard := range shards {
		names = append(names, string(shard))
	}
	if err := os.MkdirAll(d.root, 0o700); err != nil {
		return err
	}
	made := false
	for _, name := range names {
		err := os.Mkdir(filepath.Join(d.root, name), 0o700)
		switch {
		case err == nil:
			made = true
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	if made {
		if err := disk.SyncDir(d.root); err != nil {
			return err
		}
		return disk.SyncDir(filepath.Dir(d.root))
	}
	// A process that was killed between rename and fsync has left objects that are seen
	// but could still vanish. From here on what is seen is durable.
	return d.syncShards(disk)
}

func (d *Dir) syncShards(disk disk) error {
	dirs := make(map[string]error)
	for _, shard := range shards {
		dirs[filepath.Join(d.root, string(shard))] = nil
	}
	syncDirs(disk, dirs)
	return errors.Join(slices.Collect(maps.Values(dirs))...)
}

// sweep removes temporary files and transfers that nobody went on with.
func (d *Dir) sweep(now time.Time) error {
	tmp, err := os.ReadDir(filepath.Join(d.root, "tmp"))
	if err != nil {
		return err
	}
	for _, entry := range tmp {
		if err := os.Remove(filepath.Join(d.root, "tmp", entry.Name())); err != nil {
			return err
		}
	}
	partials, err := os.ReadDir(filepath.Join(d.root, "partial"))
	if err != nil {
		return err
	}
	for _, entry := range partials {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if now.Sub(info.ModTime()) < d.opts.PartialLife {
			continue
		}
		if err := os.Remove(filepath.Join(d.root, "partial", entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Has implements [Store].
func (d *Dir) Has(id string) bool {
	if !object.Valid(id) || d.commits.isPending(d.path(id)) {
		return false
	}
	_, err := os.Lstat(d.path(id))
	return err == nil
}

// Size implements [Store].
func (d *Dir) Size(id string) (int64, error) {
	if err := object.CheckID(id); err != nil {
		return 0, err
	}
	info, err := os.Lstat(d.path(id))
	if err != nil {
		return 0, storeError("look for", id, err)
	}
	return info.Size(), nil
}

// Open implements [Store]. The first Open of a file that this process did not write reads
// all of it.
func (d *Dir) Open(id string) (File, error) {
	if err := object.CheckID(id); err != nil {
		return nil, err
	}
	f, err := os.Open(d.path(id))
	if err != nil {
		return nil, storeError("open", id, err)
	}
	size, err := d.check(id, f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &file{File: f, size: size}, nil
}

// Verify implements [Store].
func (d *Dir) Verify(id string) error {
	d.trusted.forget(id)
	f, err := d.Open(id)
	if err != nil {
		return err
	}
	return f.Close()
}

// Remove implements [Store]. A transfer that is under way goes on.
func (d *Dir) Remove(id string) error {
	if err := object.CheckID(id); err != nil {
		return err
	}
	d.trusted.forget(id)
	d.commits.forget(d.path(id))
	if err := os.Remove(d.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storeError("remove", id, err)
	}
	if release, free := d.tryClaim(id); free {
		defer release()
		err := os.Remove(filepath.Join(d.root, "partial", id))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return storeError("remove what was received of", id, err)
		}
	}
	return nil
}

// file is a stored object. Embedding gives it os.File's WriteTo, and with it sendfile.
type file struct {
	*os.File
	size int64
}

func (f *file) Size() int64 { return f.size }

func (d *Dir) path(id string) string { return filepath.Join(d.root, id[:1], id) }

// admit waits until another object may be written.
func admit(ctx context.Context, to *semaphore.Weighted) (release func(), err error) {
	if err := to.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("wait for the disk: %w", err)
	}
	return func() { to.Release(1) }, nil
}
