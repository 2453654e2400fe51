package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// silence gives a channel that has a value when a relay, which carries this host's traffic,
// has died without a word: its process killed behind QUIC, its line cut, a NAT mapping
// gone. The transports take 26 to 41 s to find out. What comes from the relay, also from others
// through it, is a sign of life, so that it is asked only when nothing does. It ends with ctx.
func (h *Host) silence(ctx context.Context, relay peer.ID) <-chan error {
	dead := make(chan error, 1)
	h.background(func() {
		count := h.traffic.of(relay)
		began := time.Now()
		for {
			heard := time.Unix(0, max(count.heard.Load(), began.UnixNano()))
			if quiet := time.Since(heard); quiet < relayProbe {
				if !sleep(ctx, relayProbe-quiet, nil) {
					return
				}
				continue
			}
			if err := h.lives(ctx, relay, relayProbeTimeout); err != nil && ctx.Err() == nil {
				dead <- err
				return
			}
			began = time.Now() // it is alive without a word if it does not know pings
		}
	})
	return dead
}

// errStalled: a path went dead without a word.
var errStalled = errors.New("the path is dead")

// heardStream is a stream that knows when something came last.
type heardStream struct {
	network.Stream
	last atomic.Int64 // as Unix nanoseconds
}

func hear(s network.Stream) *heardStream {
	h := &heardStream{Stream: s}
	h.last.Store(time.Now().UnixNano())
	return h
}

// Read notes that something came.
func (h *heardStream) Read(p []byte) (int, error) {
	n, err := h.Stream.Read(p)
	if n > 0 {
		h.last.Store(time.Now().UnixNano())
	}
	return n, err
}

// stalled gives a channel that has a value when the connection of a stream went dead without a
// word: an end of it has another address now, or what is in between is gone. A stream on which
// something comes is a sign of life; else the peer is asked, and is alive too as long as
// a transfer gets on, since a ping may be long in the queue behind it: bytes leave this machine,
// or they pass the streams with the peer, if no other connection has any. It ends with ctx.
func (h *Host) stalled(ctx context.Context, s *heardStream) <-chan error {
	dead := make(chan error, 1)
	h.background(func() {
		count := h.traffic.of(s.Conn().RemotePeer())
		leaving := h.leaving(s.Conn())
		asked := time.Now()
		for {
			heard := time.Unix(0, s.last.Load())
			last := heard
			if asked.After(last) {
				last = asked
			}
			if quiet := time.Since(last); quiet < pathQuiet {
				if !sleep(ctx, pathQuiet-quiet, nil) {
					return
				}
				continue
			}
			in, out, left := count.in.Load(), count.out.Load(), leaving.Load()
			asking, cancel := context.WithTimeout(ctx, pathProbeTimeout)
			_, err := h.pingConn(asking, s.Conn())
			cancel()
			switch {
			case err == nil:
				asked = time.Now()
			case ctx.Err() != nil:
				return
			case leaving.Load()-left < pathProgress &&
				(h.hasOtherPath(s.Conn()) || count.in.Load() == in && count.out.Load()-out < pathProgress):
				dead <- fmt.Errorf("%w: nothing came for %s: %w", errStalled, time.Since(heard).Round(time.Second), err)
				return
			case !sleep(ctx, pathLook, nil):
				return
			}
		}
	})
	return dead
}

// leaving counts the bytes that leave this machine by a connection, or by others that begin with
// the same hop. A relay takes them only as long as it can pass them on.
func (h *Host) leaving(c network.Conn) *atomic.Int64 {
	relay, overUDP := addr.RelayOf(c), addr.IsUDP(c.RemoteMultiaddr())
	switch {
	case relay != "" && overUDP:
		return &h.traffic.of(relay).out // QUIC takes from a stream what it can send
	case relay != "":
		return &h.traffic.of(relay).left
	case overUDP:
		return new(atomic.Int64) // what leaves over TCP takes another path
	}
	return &h.traffic.of(c.RemotePeer()).left
}

// hasOtherPath tells whether another connection to the same peer carries anything.
func (h *Host) hasOtherPath(c network.Conn) bool {
	return slices.ContainsFunc(h.Network().ConnsToPeer(c.RemotePeer()), func(other network.Conn) bool {
		return other != c && len(other.GetStreams()) > 0
	})
}

// lives tells whether a connected peer is there: it answers a ping in time, or something else
// comes from it meanwhile, or goes to it. On a line that is full a ping may take long, and
// waits behind what is being sent; slow is not dead.
func (h *Host) lives(ctx context.Context, p peer.ID, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	count := h.traffic.of(p)
	in, out, left := count.in.Load(), count.out.Load(), count.left.Load()
	_, err := h.Ping(ctx, p)
	switch {
	case err == nil, errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}),
		count.in.Load() > in, count.out.Load()-out >= pathProgress, count.left.Load()-left >= pathProgress:
		return nil
	}
	return fmt.Errorf("relay does not answer: %w", err)
}
