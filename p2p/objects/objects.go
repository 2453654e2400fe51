package objects

import (
	"context"
	"errors"
	"io"
)

// Errors that callers branch on.
var (
	// ErrNotFound: the store has no such object.
	ErrNotFound = errors.New("object not found")
	// ErrMismatch: the bytes do not hash to the id. Permanent for those bytes.
	ErrMismatch = errors.New("object content does not match its id")
	// ErrCorrupt: a stored file no longer hashes to its id. The file was set aside.
	ErrCorrupt = errors.New("stored object is corrupt")
	// ErrBadID: not 64 lowercase hexadecimal digits.
	ErrBadID = errors.New("malformed object id")
	// ErrNoSpace: the disk is full; worth trying again when there is room.
	ErrNoSpace = errors.New("no space left for objects")
)

// Store keeps objects by id. *Dir is the implementation on disk. Methods may be called
// concurrently, also for the same id.
//
// An id is the lowercase hexadecimal SHA-256 of the object's bytes; FABs are stored in the
// same way under their FAB hash.
type Store interface {
	// Has tells whether the whole object is there.
	Has(id string) bool
	// Size of a stored object in bytes, or ErrNotFound.
	Size(id string) (int64, error)
	// Put stores exactly size bytes from r. It hashes while it writes and returns only
	// when the object is durable. An object that is already there is read off r and not
	// written again. ErrMismatch, ErrNoSpace.
	Put(ctx context.Context, id string, size int64, r io.Reader) error
	// Open opens a stored object for reading from any offset, or ErrNotFound.
	Open(id string) (File, error)
	// Partial resumes or starts an interruptible transfer of an object of size bytes.
	Partial(id string, size int64) (Partial, error)
	// Remove forgets an object. Open files stay readable. Removing what is not there is
	// no error.
	Remove(id string) error
}

// File is an open object. *os.File satisfies what net/http and libp2p need for sendfile.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
	// Size in bytes.
	Size() int64
}

// Partial is an object on its way. Bytes that were written survive a restart and are
// hashed again when the transfer resumes. One Partial of an id exists at a time; a second
// caller of [Store.Partial] waits for the first to end.
type Partial interface {
	// Offset is how many bytes are there.
	Offset() int64
	// Write appends.
	io.Writer
	// Commit verifies, makes durable and publishes the object. ErrMismatch discards it.
	Commit(ctx context.Context) error
	// Close keeps what was written for a later resume. It is a no-op after Commit.
	Close() error
}
