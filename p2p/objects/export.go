package objects

import (
	"fmt"
	"io"
	"os"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// Export returns an object a second name outside of the store, on the same file system
// without copying it: what is removed from the store stays readable there. It does not
// look at the content. ErrNotFound.
func (d *Dir) Export(id, path string) error {
	if err := object.CheckID(id); err != nil {
		return err
	}
	if d.commits.isPending(d.path(id)) {
		return storeError("export", id, os.ErrNotExist)
	}
	linkErr := os.Link(d.path(id), path)
	if linkErr == nil {
		return nil
	}
	from, err := os.Open(d.path(id)) // not all file systems have hard links
	if err != nil {
		return storeError("export", id, err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("export object %s: %w", id, err)
	}
	_, err = io.Copy(to, from)
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("export object %s: %w", id, noSpace(err))
	}
	return nil
}
