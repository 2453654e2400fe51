package streams

import (
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Options of a Server. Places and PerPeer are required, for nothing that a stranger can make grow
// goes without a bound; a time of zero means no bound.
type Options struct {
	// Places is how many streams are worked on at a time. If there is a Queue, that many more may
	// be open: their handlers run, and get a place with [Stream.Turn].
	Places, Queue int
	// PerPeer bounds the streams of one peer, including those that wait for a place.
	PerPeer int

	// First bounds the time until the handler calls [Stream.Begun].
	First time.Duration
	// Reads and Writes bound the time in which a read has to bring something, and a write has to
	// move something. However slow a peer is, it may go on as long as that holds.
	Reads, Writes time.Duration
	// Whole bounds the duration of the whole stream.
	Whole time.Duration

	// Admit reports whether whoever is at the other end may use the protocol; nil admits anybody
	// whom the host lets come this far.
	Admit func(network.Conn) bool
	// Busy tells a peer in the protocol's own words that there is no place for it; if it is nil,
	// the stream is reset.
	Busy func(to io.Writer, why error) error
}

func (o Options) validate() error {
	if o.Places <= 0 || o.PerPeer <= 0 || o.Queue < 0 {
		return fmt.Errorf("%d places, %d in a queue and %d for each peer: these must be positive bounds", o.Places, o.Queue, o.PerPeer)
	}
	return nil
}
