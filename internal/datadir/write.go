package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces a small file durably: after a crash at any moment either the old or
// the whole new content is there.
func WriteFile(path string, content []byte, mode os.FileMode) error {
	return write(path, content, mode, durable, os.Rename)
}

// ReplaceFile replaces a small file for as long as the machine runs: after the end of this
// process at any moment either the old or the whole new content is there. It is for what is
// of no use after the machine has started anew, and takes no time for the disk.
func ReplaceFile(path string, content []byte, mode os.FileMode) error {
	return write(path, content, mode, volatile, os.Rename)
}

// CreateFile writes a small file that must not be there yet, durably and whole or not at all.
// If it is there, even since a moment ago by another process, the error is [fs.ErrExist] and the
// file stays as it is.
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

// keeping says whether a file must outlive the end of the machine, or only that of the process.
type keeping bool

const (
	durable  keeping = true
	volatile keeping = false
)

// write writes content to a temporary file beside path, which place then puts there.
func write(path string, content []byte, mode os.FileMode, keep keeping, place func(temp, path string) error) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already when it was renamed
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

// SyncDir makes durable that files were created, renamed or removed in a directory.
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
