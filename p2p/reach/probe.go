package reach

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

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// prober finds out which peers and paths are alive, and how long their round trip is.
type prober struct {
	conns      connections
	traffic    *traffic
	paths      *pathBook
	background func(func())
}

// connections are the connections that a host has.
type connections interface {
	ConnsToPeer(peer.ID) []network.Conn
}

// silence returns a channel that delivers a value when a relay that carries this host's traffic
// has died without a word: its process killed behind QUIC, its line cut, a NAT mapping gone. The
// transports take 26 to 41 s to find out. Anything that comes from the relay, even from others
// through it, is a sign of life, so the relay is asked only when nothing does. It ends with ctx.
func (r *prober) silence(ctx context.Context, relay peer.ID) <-chan error {
	dead := make(chan error, 1)
	r.background(func() {
		count := r.traffic.of(relay)
		began := time.Now()
		for {
			heard := time.Unix(0, max(count.heard.Load(), began.UnixNano()))
			if quiet := time.Since(heard); quiet < relayProbe {
				if !retry.Sleep(ctx, relayProbe-quiet) {
					return
				}
				continue
			}
			if err := r.lives(ctx, relay, relayProbeTimeout); err != nil && ctx.Err() == nil {
				dead <- err
				return
			}
			began = time.Now() // it may be alive and simply not know pings
		}
	})
	return dead
}

// ErrStalled is the cause by which the context of a serve function ends when the path that it runs
// on went dead without a word.
var ErrStalled = errors.New("the path is dead")

// heardStream is a stream that knows when something last came.
type heardStream struct {
	network.Stream
	last atomic.Int64 // as Unix nanoseconds
}

func hear(opened network.Stream) *heardStream {
	s := &heardStream{Stream: opened}
	s.last.Store(time.Now().UnixNano())
	return s
}

// Read notes that something came.
func (s *heardStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if n > 0 {
		s.last.Store(time.Now().UnixNano())
	}
	return n, err
}

// stalled returns a channel that delivers a value when the connection of a stream went dead
// without a word: one end has another address now, or what is in between is gone. Anything that
// comes on the stream is a sign of life; otherwise the peer is asked. It also counts as alive as
// long as a transfer makes progress, since a ping may wait long in the queue behind it: bytes
// leave this machine, or they pass the streams with the peer, if no other connection has any. It
// ends with ctx.
func (r *prober) stalled(ctx context.Context, s *heardStream) <-chan error {
	dead := make(chan error, 1)
	r.background(func() {
		count := r.traffic.of(s.Conn().RemotePeer())
		leaving := r.leaving(s.Conn())
		asked := time.Now()
		for {
			heard := time.Unix(0, s.last.Load())
			last := heard
			if asked.After(last) {
				last = asked
			}
			if quiet := time.Since(last); quiet < pathQuiet {
				if !retry.Sleep(ctx, pathQuiet-quiet) {
					return
				}
				continue
			}
			in, out, left := count.in.Load(), count.out.Load(), leaving.Load()
			asking, cancel := context.WithTimeout(ctx, pathProbeTimeout)
			_, err := r.pingConn(asking, s.Conn())
			cancel()
			switch {
			case err == nil:
				asked = time.Now()
			case ctx.Err() != nil:
				return
			case leaving.Load()-left < pathProgress &&
				(r.hasOtherPath(s.Conn()) || count.in.Load() == in && count.out.Load()-out < pathProgress):
				dead <- fmt.Errorf("%w: nothing came for %s: %w", ErrStalled, time.Since(heard).Round(time.Second), err)
				return
			case !retry.Sleep(ctx, pathLook):
				return
			}
		}
	})
	return dead
}

// leaving returns the counter of the bytes that leave this machine by a connection, or by others
// that share its first hop. A relay takes them only as fast as it can pass them on.
func (r *prober) leaving(c network.Conn) *atomic.Int64 {
	relay, overUDP := addr.RelayOf(c), addr.IsUDP(c.RemoteMultiaddr())
	switch {
	case relay != "" && overUDP:
		return &r.traffic.of(relay).out // QUIC takes from a stream only what it can send
	case relay != "":
		return &r.traffic.of(relay).left
	case overUDP:
		return new(atomic.Int64) // what leaves over TCP takes another path
	}
	return &r.traffic.of(c.RemotePeer()).left
}

// hasOtherPath reports whether another connection to the same peer carries anything.
func (r *prober) hasOtherPath(c network.Conn) bool {
	return slices.ContainsFunc(r.conns.ConnsToPeer(c.RemotePeer()), func(other network.Conn) bool {
		return other != c && len(other.GetStreams()) > 0
	})
}

// lives checks that a connected peer is there: it answers a ping in time, or meanwhile something
// else comes from it or goes to it. On a full line a ping may take long, and waits behind what is
// being sent; slow is not dead.
func (r *prober) lives(ctx context.Context, p peer.ID, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	count := r.traffic.of(p)
	in, out, left := count.in.Load(), count.out.Load(), count.left.Load()
	_, err := r.ping(ctx, p)
	switch {
	case err == nil, errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}),
		count.in.Load() > in, count.out.Load()-out >= pathProgress, count.left.Load()-left >= pathProgress:
		return nil
	}
	return fmt.Errorf("relay does not answer: %w", err)
}
