package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces a small file durably: after a crash at any moment, the file has either the
// old or the new content in full.
func WriteFile(path string, content []byte, mode os.FileMode) error {
	return write(path, content, mode, durable, os.Rename)
}

// ReplaceFile replaces a small file for as long as the machine runs: if this process ends at any
// moment, the file has either the old or the new content in full. It is for content that is of
// no use after the machine has restarted, and does not wait for the disk.
func ReplaceFile(path string, content []byte, mode os.FileMode) error {
	return write(path, content, mode, volatile, os.Rename)
}

// CreateFile durably writes a small file that must not exist yet, either in full or not at all.
// If it exists, even if another process created it just a moment ago, the error is [fs.ErrExist]
// and the file stays unchanged.
func CreateFile(path string, content []byte, mode os.FileMode) error {
	return write(path, content, mode, durable, func(temp, path string) error {
		// Unlike a rename, a link fails if the file exists.
		err := os.Link(temp, path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
		return os.Rename(temp, path) // some file systems have no links
	})
}

// keeping tells whether a file must outlive the end of the machine, or only that of the process.
type keeping bool

const (
	durable  keeping = true
	volatile keeping = false
)

// write writes content to a temporary file beside path, which place then moves there.
func write(path string, content []byte, mode os.FileMode, keep keeping, place func(temp, path string) error) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // already gone if it was renamed
	_, writeErr := temp.Write(content)
	err = errors.Join(writeErr, temp.Chmod(mode))
	if keep == durable {
		err = errors.Join(err, temp.Sync())
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = place(temp.Name(), path)
	}
	if err == nil && keep == durable {
		err = SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// SyncDir makes the creation, renaming or removal of files in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
