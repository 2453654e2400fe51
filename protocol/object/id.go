package object

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// IDLen is the number of characters of an id.
const IDLen = 2 * sha256.Size

// Errors that callers branch on.
var (
	// ErrBadID: not 64 lowercase hexadecimal digits.
	ErrBadID = errors.New("malformed object id")
	// ErrMismatch: the bytes do not hash to the id. Permanent for those bytes.
	ErrMismatch = errors.New("object content does not match its id")
)

// Valid tells whether id is well formed: 64 lowercase hexadecimal digits. Such a string is
// safe as a file name.
func Valid(id string) bool {
	if len(id) != IDLen {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// CheckID is like [Valid], but returns an error that shows what was given.
func CheckID(id string) error {
	if !Valid(id) {
		return fmt.Errorf("%w: %.80q", ErrBadID, id)
	}
	return nil
}

// Sum returns the id of an object's byte form, or the hash of a FAB.
func Sum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Hash computes an id from the bytes written to it. It is not safe for concurrent use.
type Hash struct {
	sum hash.Hash
}

// NewHash starts a computation.
func NewHash() *Hash { return &Hash{sum: sha256.New()} }

// Write adds bytes. It never fails.
func (h *Hash) Write(p []byte) (int, error) { return h.sum.Write(p) }

// ID returns the id of the bytes so far. More may be written afterwards.
func (h *Hash) ID() string { return hex.EncodeToString(h.sum.Sum(nil)) }

// Verify returns [ErrMismatch] if the bytes so far are not those of id.
func (h *Hash) Verify(id string) error {
	if got := h.ID(); got != id {
		return fmt.Errorf("%w: want %s, got %s", ErrMismatch, id, got)
	}
	return nil
}
