package objects

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// storeError says what could not be done to which object, as one of the errors that
// callers branch on where it is one.
func storeError(doing, id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s object %s: %w", doing, id, ErrNotFound)
	}
	return fmt.Errorf("%s object %s: %w", doing, id, noSpace(err))
}

// noSpace marks errors that mean a full disk or a spent quota.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
