package objects

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// ProtocolID of the exchange.
const ProtocolID protocol.ID = "/rhizome/object/1"

// Errors of a fetch that callers branch on, besides those of the [Store].
var (
	// ErrRefused: no peer that was asked lets this one have the object.
	ErrRefused = errors.New("peer refuses to give the object")
	// ErrStalled: for the time of FetchOptions.Patience no peer sent anything. What came
	// before is kept, and the next fetch goes on there.
	ErrStalled = errors.New("transfer has stalled")
)

// Permanent reports whether a fetch that ended with err would end in the same way again with
// the same peers. All else (a lost connection, a full disk, a busy peer) is worth
// another try later.
func Permanent(err error) bool {
	for _, permanent := range []error{ErrNotFound, ErrRefused, ErrMismatch, ErrBadID, ErrTooLarge} {
		if errors.Is(err, permanent) {
			return true
		}
	}
	return false
}

// Authorize decides whether a peer may have an object in the name of a run: nil lets it,
// [ErrRefused] does not, any other error has the peer ask again later. It is called for
// each object before it is looked for, so that a stranger does not learn what exists. It
// must be safe for concurrent use.
type Authorize func(ctx context.Context, p peer.ID, runID uint64, objectID string) error

// Meter is told of the content bytes that move, block by block. It must be safe for
// concurrent use and must not block.
type Meter interface {
	Sent(to peer.ID, runID uint64, bytes int)
	Received(from peer.ID, runID uint64, bytes int)
}

// noMeter is the default.
type noMeter struct{}

func (noMeter) Sent(peer.ID, uint64, int)     {}
func (noMeter) Received(peer.ID, uint64, int) {}
