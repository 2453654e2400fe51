package streams

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Listen serves a protocol through a listener, for a net/http server. The address of the other
// side is its peer id. A connection holds its place until it is closed. Closing the listener
// resets the streams that nobody has accepted; the others are for whoever accepted them to close,
// and the time limits of Options still apply to them.
func Listen(h Host, self peer.ID, proto protocol.ID, opts Options) net.Listener {
	l := &listener{self: self, conns: make(chan *conn), closed: make(chan struct{})}
	l.server = Serve(h, proto, opts, l.handle)
	return l
}

// Conn is a stream as a net.Conn. Close closes both directions.
func Conn(s network.Stream) net.Conn { return &conn{Stream: s, closed: make(chan struct{})} }

type listener struct {
	server *Server
	self   peer.ID
	conns  chan *conn
	once   sync.Once
	closed chan struct{}
}

var errUnserved = errors.New("the listener was closed before anybody accepted the stream")

// handle holds the place of a connection until it is closed.
func (l *listener) handle(ctx context.Context, s *Stream) error {
	c := &conn{Stream: s, closed: make(chan struct{})}
	select {
	case l.conns <- c:
	case <-l.closed:
		return errUnserved
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-c.closed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed: // also when a stream waits
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.server.refuse()
		close(l.closed)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return peerAddr(l.self) }

type conn struct {
	network.Stream
	once   sync.Once
	closed chan struct{}
}

func (c *conn) Close() error {
	defer c.once.Do(func() { close(c.closed) })
	return c.Stream.Close()
}

func (c *conn) LocalAddr() net.Addr  { return peerAddr(c.Conn().LocalPeer()) }
func (c *conn) RemoteAddr() net.Addr { return peerAddr(c.Conn().RemotePeer()) }

type peerAddr peer.ID

func (peerAddr) Network() string  { return "libp2p" }
func (a peerAddr) String() string { return peer.ID(a).String() }
