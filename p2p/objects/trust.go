package objects

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// trustList remembers which files were hashed and found good, and what they looked like
// then. A file that was touched since is not trusted.
type trustList struct {
	mu   sync.Mutex
	seen map[string]look
}

// look is what shows that a file was touched.
type look struct {
	size    int64
	changed time.Time
}

func lookOf(info os.FileInfo) look { return look{info.Size(), info.ModTime()} }

func newTrustList() *trustList { return &trustList{seen: make(map[string]look)} }

func (t *trustList) trusts(id string, l look) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen, known := t.seen[id]
	return known && seen.size == l.size && seen.changed.Equal(l.changed)
}

func (t *trustList) add(id string, l look) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for other := range t.seen {
		if len(t.seen) < maxTrusted {
			break
		}
		delete(t.seen, other)
	}
	t.seen[id] = l
}

func (t *trustList) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.seen, id)
}

// check returns the size of an open file of an object after making sure that its content
// is the object's. A file that is not is set aside.
func (d *Dir) check(id string, f *os.File) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, storeError("look at", id, err)
	}
	for !d.trusted.trusts(id, lookOf(info)) {
		// Many may ask for the same model at once, after a restart; one of them hashes it.
		_, err, shared := d.checks.Do(id, func() (any, error) { return nil, d.hashFile(id, f, info) })
		if err != nil {
			return 0, err
		}
		if !shared {
			break
		}
	}
	return info.Size(), nil
}

// hashFile trusts a file or sets it aside.
func (d *Dir) hashFile(id string, f *os.File, info os.FileInfo) error {
	hash := object.NewHash()
	if _, err := io.Copy(hash, io.NewSectionReader(f, 0, info.Size())); err != nil {
		return storeError("verify", id, err)
	}
	if err := hash.Verify(id); err != nil {
		d.setAside(id, info)
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	d.trusted.add(id, lookOf(info))
	return nil
}

// setAside moves a corrupt file out of the way, unless it has been replaced meanwhile.
func (d *Dir) setAside(id string, found os.FileInfo) {
	d.trusted.forget(id)
	current, err := os.Lstat(d.path(id))
	if err != nil || !os.SameFile(current, found) {
		return
	}
	if kept, err := os.ReadDir(filepath.Join(d.root, "corrupt")); err == nil && len(kept) >= maxSetAside {
		err = os.Remove(d.path(id))
		log.Error("stored object is corrupt; removed, since enough others are set aside", "object", id, "err", err)
		return
	}
	to := filepath.Join(d.root, "corrupt", id)
	err = os.Rename(d.path(id), to)
	log.Error("stored object is corrupt; set aside", "object", id, "file", to, "err", err)
}

// sizeOnDisk is the size of an object's file, or false if it is missing.
func (d *Dir) sizeOnDisk(id string) (int64, bool, error) {
	size, err := d.Size(id)
	switch {
	case errors.Is(err, ErrNotFound):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	return size, true, nil
}
