package transport

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	ci "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// TLS is libp2p's, which hands each record of at most 16 KiB to the network by itself. A yamux
// frame is slightly more than four records: coalescing makes that one system call instead of five,
// and inside a circuit, where the records travel in frames and records of the connection to the
// relay, one instead of ten.
//
// TLS also counts what leaves for each peer. Streams and muxers take megabytes before any of it
// has left; the kernel takes little more than a slow line carries.
type TLS struct {
	*libp2ptls.Transport
	buffers *sync.Pool // of *[]byte with coalesceMost capacity
	left    func(peer.ID) *atomic.Int64
}

var _ sec.SecureTransport = (*TLS)(nil)

// NewTLS returns the constructor that libp2p calls with its parts. left returns the counter of the
// bytes that the kernel has taken for connections to a peer.
func NewTLS(left func(peer.ID) *atomic.Int64) func(protocol.ID, ci.PrivKey, []upgrader.StreamMuxer) (*TLS, error) {
	return func(id protocol.ID, key ci.PrivKey, muxers []upgrader.StreamMuxer) (*TLS, error) {
		inner, err := libp2ptls.New(id, key, muxers)
		if err != nil {
			return nil, err
		}
		buffers := &sync.Pool{New: func() any { b := make([]byte, 0, coalesceMost); return &b }}
		return &TLS{inner, buffers, left}, nil
	}
}

// SecureInbound implements sec.SecureTransport.
func (t *TLS) SecureInbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	tune(insecure)
	c := &coalescer{Conn: insecure, buffers: t.buffers}
	secure, err := t.Transport.SecureInbound(ctx, c, p)
	if err != nil {
		return nil, err
	}
	return t.over(c, secure), nil
}

// SecureOutbound implements sec.SecureTransport.
func (t *TLS) SecureOutbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	tune(insecure)
	c := &coalescer{Conn: insecure, buffers: t.buffers}
	secure, err := t.Transport.SecureOutbound(ctx, c, p)
	if err != nil {
		return nil, err
	}
	return t.over(c, secure), nil
}

func (t *TLS) over(below *coalescer, secure sec.SecureConn) *coalescedConn {
	if !isCircuit(below.Conn) { // what is below a circuit is counted for the relay
		below.mu.Lock()
		below.left = t.left(secure.RemotePeer())
		below.mu.Unlock()
	}
	return &coalescedConn{SecureConn: secure, below: below}
}

// coalescedConn sends what one Write produces in one piece.
type coalescedConn struct {
	sec.SecureConn
	below *coalescer

	writing sync.Mutex
}

// Write is SecureConn's, except that an error says nothing about how much was sent: the connection
// is of no further use.
func (c *coalescedConn) Write(p []byte) (int, error) {
	if len(p) <= coalesceLeast {
		return c.SecureConn.Write(p)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.below.hold()
	n, err := c.SecureConn.Write(p)
	if flushed := c.below.flush(); err == nil {
		err = flushed
	}
	if err != nil {
		return 0, err // TLS may have counted what was only gathered
	}
	return n, nil
}

// coalescer is the connection below TLS. While it holds, writes are gathered. Alerts and key
// updates, which TLS may send at any time, keep their place in the order.
type coalescer struct {
	net.Conn
	buffers *sync.Pool

	mu     sync.Mutex
	held   *[]byte // nil: writes pass through
	broken error   // of the first write that failed: what was gathered cannot be taken back

	left *atomic.Int64 // counts what has left; nil: not counted
}

func (c *coalescer) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = c.buffers.Get().(*[]byte)
}

// flush sends what was gathered, and lets writes pass through again.
func (c *coalescer) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.send()
	*c.held = (*c.held)[:0]
	c.buffers.Put(c.held)
	c.held = nil
	return err
}

// Write gathers or sends.
func (c *coalescer) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return 0, c.broken
	}
	if c.held == nil {
		return c.write(p)
	}
	if len(*c.held)+len(p) > cap(*c.held) {
		if err := c.send(); err != nil {
			return 0, err
		}
	}
	*c.held = append(*c.held, p...) // a record fits
	return len(p), nil
}

// send sends what was gathered so far. c.mu is held.
func (c *coalescer) send() error {
	if c.broken != nil || len(*c.held) == 0 {
		return c.broken
	}
	_, c.broken = c.write(*c.held)
	*c.held = (*c.held)[:0]
	return c.broken
}

// write sends and counts. c.mu is held.
func (c *coalescer) write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.left != nil {
		c.left.Add(int64(n))
	}
	return n, err
}
