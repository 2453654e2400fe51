// Package datadir owns the data directory of a daemon: one process at a time, of one kind,
// in a format that this version knows.
//
// It guarantees that two processes never work in the same directory (by an flock that the
// kernel drops when its holder dies, and that children do not inherit), that the directory of
// a link is not mistaken for that of a node, and that the directory of a newer version is left
// unchanged. It is not responsible for what the directory contains: databases have schema
// versions of their own (package sqldb).
package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Errors that callers branch on; the text around them is meant for the user.
var (
	ErrInUse  = errors.New("data directory is in use")
	ErrNewer  = errors.New("data directory belongs to a newer version")
	ErrKind   = errors.New("data directory belongs to another kind of daemon")
	ErrDenied = errors.New("data directory cannot be written")
)

const (
	lockName   = "lock"
	markerName = "rhizome.json"
	// format counts the changes to the layout of a data directory.
	format = 1
)

// Dir is a data directory that this process holds.
type Dir struct {
	root string
	lock *os.File
}

// marker says whose directory it is.
type marker struct {
	Kind   string `json:"kind"`
	Format int    `json:"format"`
}

// Open takes the directory for a daemon of this kind ("link", "node", ...), creating it
// (mode 0700) if it is missing, and closes it to other users. It returns ErrInUse, ErrNewer,
// ErrKind or ErrDenied; in any of these cases nothing has changed except for directories that
// had to be created.
func Open(path, kind string) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, explain(root, err)
	}
	lock, err := acquire(root)
	if err != nil {
		return nil, err
	}
	d := &Dir{root: root, lock: lock}
	if err := errors.Join(d.claim(kind), keepPrivate(root)); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// keepPrivate closes a directory that others may enter, as one made by hand before the first
// start may be: what lies in it has modes of its own, but not all of those are ours to set, and
// the mere names reveal who takes part.
func keepPrivate(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return explain(root, err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(root, info.Mode().Perm()&0o700); err != nil {
		return fmt.Errorf("other users of this machine can look into data directory %s, and its mode cannot be changed (%w): choose one that belongs to this user", root, err)
	}
	if info, err = os.Stat(root); err != nil {
		return explain(root, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("other users of this machine can look into data directory %s, and its file system keeps no modes: choose another one", root)
	}
	return nil
}

// Path returns a path inside the directory; without elements, the directory itself.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.root}, elem...)...)
}

// Close lets another process take the directory.
func (d *Dir) Close() error {
	if err := d.lock.Close(); err != nil {
		return fmt.Errorf("release data directory %s: %w", d.root, err)
	}
	return nil
}

// acquire takes the lock and leaves the process id in it, for whoever comes second.
func acquire(root string) (*os.File, error) {
	path := filepath.Join(root, lockName)
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explain(root, err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := holderOf(lock)
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is in use by another rhizome%s: stop that one, or choose another --data (%w)", root, holder, ErrInUse)
		}
		return nil, fmt.Errorf("lock data directory %s: %w", root, err)
	}
	if err := lock.Truncate(0); err == nil {
		_, _ = lock.WriteAt(fmt.Appendln(nil, os.Getpid()), 0) // merely a courtesy to whoever reads the error
	}
	return lock, nil
}

func holderOf(lock *os.File) string {
	text := make([]byte, 32)
	n, _ := lock.ReadAt(text, 0)
	pid := strings.TrimSpace(string(text[:n]))
	if pid == "" {
		return ""
	}
	return " (process " + pid + ")"
}

// claim reads the marker, or writes it into a directory that has none.
func (d *Dir) claim(kind string) error {
	path := d.Path(markerName)
	text, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d.mark(kind)
	}
	if err != nil {
		return explain(d.root, err)
	}
	var m marker
	if err := json.Unmarshal(text, &m); err != nil || m.Kind == "" || m.Format < 1 {
		return fmt.Errorf("%s is damaged: restore it, or write {\"kind\":%q,\"format\":%d} into it if this is the directory of that kind", path, kind, format)
	}
	if m.Kind != kind {
		return fmt.Errorf("%s holds the data of a %s, not of a %s: choose another --data (%w)", d.root, m.Kind, kind, ErrKind)
	}
	if m.Format > format {
		return fmt.Errorf("%s has format %d and this rhizome knows %d: use the newer rhizome, or choose another --data (%w)", d.root, m.Format, format, ErrNewer)
	}
	// Otherwise a read-only directory would be noticed only much later, in the middle of a run.
	if err := unix.Access(d.root, unix.W_OK); err != nil {
		return explain(d.root, err)
	}
	return nil
}

func (d *Dir) mark(kind string) error {
	text, err := json.Marshal(marker{Kind: kind, Format: format})
	if err != nil {
		return fmt.Errorf("describe data directory: %w", err)
	}
	if err := WriteFile(d.Path(markerName), append(text, '\n'), 0o600); err != nil {
		return explain(d.root, err)
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxMarker {
		return nil, fmt.Errorf("%s is %d bytes long, which is too much: it must be damaged", path, info.Size())
	}
	return os.ReadFile(path)
}

// explain turns what the file system said into words that name the way out.
func explain(root string, err error) error {
	switch {
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("data directory %s cannot be written: %w (%w)", root, err, ErrDenied)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return fmt.Errorf("data directory %s: something that is not a directory is in the way: %w", root, err)
	default:
		return fmt.Errorf("data directory %s: %w", root, err)
	}
}

// Free returns how many bytes can still be written to the disk of the directory.
func (d *Dir) Free() (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(d.root, &disk); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", d.root, err)
	}
	return int64(disk.Bavail) * int64(disk.Bsize), nil //nolint:unconvert // the types differ on other systems
}
