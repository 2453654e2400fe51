package p2p

import (
	"context"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// ListenMembers gives a listener of the streams that members open for a protocol, so that a
// net/http server serves them. The address of the other side is its peer id. A stream that
// finds 128 others waiting to be accepted is reset.
func (h *Host) ListenMembers(proto protocol.ID) net.Listener {
	l := &listener{h: h, proto: proto, streams: make(chan network.Stream, acceptBacklog), closed: make(chan struct{})}
	h.HandleMembers(proto, l.arrived)
	return l
}

// DialStream opens a stream of a protocol to a peer as a net.Conn. It uses the connection
// that there is, relayed or direct, or makes one to addresses that are known.
func (h *Host) DialStream(ctx context.Context, p peer.ID, proto protocol.ID) (net.Conn, error) {
	s, err := h.reach.Dial(ctx, p, proto)
	if err != nil {
		return nil, err
	}
	return &streamConn{s}, nil
}

type listener struct {
	h       *Host
	proto   protocol.ID
	streams chan network.Stream

	once   sync.Once
	closed chan struct{}
}

func (l *listener) arrived(s network.Stream) {
	select {
	case <-l.closed:
	case l.streams <- s:
		return
	default:
	}
	s.ResetWithError(network.StreamResourceLimitExceeded)
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case s := <-l.streams:
		return &streamConn{s}, nil
	case <-l.closed:
	case <-l.h.ctx.Done():
	}
	return nil, net.ErrClosed
}

// Close ends the listener. Accepted streams live on, those that wait are reset.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.h.RemoveStreamHandler(l.proto)
		close(l.closed)
	})
	for {
		select {
		case s := <-l.streams:
			s.Reset()
		default:
			return nil
		}
	}
}

func (l *listener) Addr() net.Addr { return peerAddr(l.h.ID()) }

// streamConn is a stream as a net.Conn. Close closes both directions.
type streamConn struct{ network.Stream }

func (c *streamConn) LocalAddr() net.Addr  { return peerAddr(c.Conn().LocalPeer()) }
func (c *streamConn) RemoteAddr() net.Addr { return peerAddr(c.Conn().RemotePeer()) }

type peerAddr peer.ID

func (peerAddr) Network() string  { return "libp2p" }
func (a peerAddr) String() string { return peer.ID(a).String() }
