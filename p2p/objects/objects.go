package objects

import (
	"context"
	"errors"
	"io"

	"github.com/rhizome-fl/rhizome/protocol/object"
)

// Errors that callers branch on.
var (
	// ErrNotFound: the store, or the peers that were asked, have no such object.
	ErrNotFound = errors.New("object not found")
	// ErrMismatch: the bytes do not hash to the id. Permanent for those bytes.
	ErrMismatch = object.ErrMismatch
	// ErrCorrupt: a stored file no longer hashes to its id. The file was set aside.
	ErrCorrupt = errors.New("stored object is corrupt")
	// ErrBadID: not 64 lowercase hexadecimal digits.
	ErrBadID = object.ErrBadID
	// ErrNoSpace: the disk is full; worth trying again when there is room.
	ErrNoSpace = errors.New("no space left for objects")
	// ErrBusy: somebody else is receiving the object right now.
	ErrBusy = errors.New("object is being received already")
	// ErrTooLarge: the object is over the store's limit.
	ErrTooLarge = errors.New("object is too large")
)

// Store keeps objects by id. *Dir is the implementation on disk. Methods may be called
// concurrently, also for the same id.
//
// An id is the lowercase hexadecimal SHA-256 of the object's bytes; FABs are stored in the
// same way under their FAB hash.
type Store interface {
	// Has reports whether the whole object is there.
	Has(id string) bool
	// Size of a stored object in bytes, or ErrNotFound.
	Size(id string) (int64, error)
	// Put stores exactly size bytes from r. It hashes while it writes and returns only
	// when the object is durable. An object that is already there is not written again, but
	// read off r and hashed: nil always means that r had the content. ErrMismatch,
	// ErrNoSpace, ErrTooLarge; io.ErrUnexpectedEOF when r ends early.
	Put(ctx context.Context, id string, size int64, r io.Reader) error
	// Open opens a stored object for reading from any offset. ErrNotFound, ErrCorrupt.
	Open(id string) (File, error)
	// Partial takes up an interruptible transfer of an object. It waits for another Partial
	// of the id to end. It returns nil without an error when the object is there.
	Partial(ctx context.Context, id string) (Partial, error)
	// TryPartial is Partial without waiting for another: ErrBusy.
	TryPartial(ctx context.Context, id string) (Partial, error)
	// Verify hashes a stored object again, whatever is known of it. ErrCorrupt, ErrNotFound.
	Verify(id string) error
	// Remove forgets an object and what was received of it. Open files stay readable.
	// Removing what is not there is no error.
	Remove(id string) error
}

// File is an open object. Those of *Dir are *os.File inside and forward WriteTo, so that
// io.Copy to a TCP connection uses sendfile.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
	io.WriterTo
	// Size in bytes.
	Size() int64
}

// Partial is an object on its way. Bytes that were written survive a restart and are
// hashed again when the transfer is taken up. One Partial of an id exists at a time, until
// it is committed, closed or discarded. It is not safe for concurrent use.
//
//	claimed ──Expect──► open ──Write...──► Commit (published, or gone after ErrMismatch)
//	   └───────────────────┴─────────────► Close (kept) or Discard (gone)
type Partial interface {
	// Offset is how many bytes are there.
	Offset() int64
	// Expect says how large the whole object is according to its sender, and opens the
	// file, for which it may wait. If more is there than that, it is thrown away: look at
	// Offset again. ErrTooLarge, ErrNoSpace.
	Expect(ctx context.Context, size int64) error
	// Write appends; it fails before Expect and beyond the size. ErrNoSpace keeps what
	// could be written.
	io.Writer
	// Commit verifies, makes durable and publishes the object.
	Commit(ctx context.Context) error
	// Close keeps what was written. After the end of the Partial it does nothing.
	Close() error
	// Discard throws away what was written. After the end of the Partial it does nothing.
	Discard() error
}
