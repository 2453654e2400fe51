package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// Put implements [Store].
func (d *Dir) Put(ctx context.Context, id string, size int64, r io.Reader) error {
	if err := d.checkNew(id, size); err != nil {
		return err
	}
	there, err := d.alreadyThere(id, size)
	if err != nil {
		return err
	}
	if there {
		return drain(ctx, id, size, r)
	}
	if size <= smallObject {
		return d.putSmall(ctx, id, size, r)
	}
	release, err := admit(ctx, d.writers)
	if err != nil {
		return fmt.Errorf("store object %s: %w", id, err)
	}
	defer release()
	return d.write(ctx, id, size, r)
}

// putSmall reads an object before it takes one of the writers' places: a slow sender of
// a small object holds memory, not a file.
func (d *Dir) putSmall(ctx context.Context, id string, size int64, r io.Reader) error {
	content := make([]byte, size)
	if _, err := io.ReadFull(r, content); err != nil {
		return readError(id, err)
	}
	if got := object.Sum(content); got != id {
		return fmt.Errorf("store object %s: %w: got %s", id, ErrMismatch, got)
	}
	release, err := admit(ctx, d.writers)
	if err != nil {
		return fmt.Errorf("store object %s: %w", id, err)
	}
	defer release()
	return d.write(ctx, id, size, bytes.NewReader(content))
}

// write takes an object through a temporary file to its name.
func (d *Dir) write(ctx context.Context, id string, size int64, r io.Reader) (err error) {
	tmp, err := os.CreateTemp(filepath.Join(d.root, "tmp"), "put-*")
	if err != nil {
		return fmt.Errorf("store object %s: %w", id, noSpace(err))
	}
	defer func() {
		_ = tmp.Close()
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	hash := object.NewHash()
	if err := fill(ctx, tmp, hash, size, r); err != nil {
		return fmt.Errorf("store object %s: %w", id, err)
	}
	if err := hash.Verify(id); err != nil {
		return fmt.Errorf("store object %s: %w", id, err)
	}
	return d.publish(ctx, id, tmp)
}

// fill copies exactly size bytes to file and hash.
func fill(ctx context.Context, file io.Writer, hash io.Writer, size int64, r io.Reader) error {
	buf := blocks.get()
	defer blocks.put(buf)
	for left := size; left > 0; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		block := (*buf)[:min(left, int64(len(*buf)))]
		if _, err := io.ReadFull(r, block); err != nil {
			return unexpected(err)
		}
		if _, err := hash.Write(block); err != nil {
			return err
		}
		if _, err := file.Write(block); err != nil {
			return noSpace(err)
		}
		left -= int64(len(block))
	}
	return nil
}

// checkNew refuses what cannot be stored.
func (d *Dir) checkNew(id string, size int64) error {
	if err := object.CheckID(id); err != nil {
		return err
	}
	if size < 0 || size > d.opts.MaxSize {
		return fmt.Errorf("store object %s: %w: %d bytes, %d are allowed", id, ErrTooLarge, size, d.opts.MaxSize)
	}
	return nil
}

// alreadyThere reports whether an object need not be written. A stored file of another size
// than a sender says is looked at: one of the two is wrong.
func (d *Dir) alreadyThere(id string, size int64) (bool, error) {
	if !d.Has(id) {
		return false, nil
	}
	stored, there, err := d.sizeOnDisk(id)
	if err != nil || !there {
		return false, err
	}
	if stored == size {
		return true, nil
	}
	err = d.Verify(id)
	switch {
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	return false, fmt.Errorf("store object %s: %w: it has %d bytes, not %d", id, ErrMismatch, stored, size)
}

// drain reads off an object that is not needed. It is hashed all the same: who gets nil
// from Put had the content.
func drain(ctx context.Context, id string, size int64, r io.Reader) error {
	hash := object.NewHash()
	err := fill(ctx, io.Discard, hash, size, r)
	if err == nil {
		err = hash.Verify(id)
	}
	if err != nil {
		return fmt.Errorf("store object %s: %w", id, err)
	}
	return nil
}

func readError(id string, err error) error {
	return fmt.Errorf("store object %s: %w", id, unexpected(err))
}

// unexpected makes the early end of a reader recognisable.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the content ended early: %w", io.ErrUnexpectedEOF)
	}
	return err
}
