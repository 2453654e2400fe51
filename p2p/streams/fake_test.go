package streams

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const testProtocol = "/test/1"

// fakeHost is a host without a network, for virtual time: each stream is a pipe.
type fakeHost struct {
	mu      sync.Mutex
	handler network.StreamHandler
	streams sync.WaitGroup
}

func (h *fakeHost) SetStreamHandler(_ protocol.ID, handler network.StreamHandler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handler = handler
}

func (h *fakeHost) RemoveStreamHandler(id protocol.ID) { h.SetStreamHandler(id, nil) }

// open opens a stream as a peer; it returns the peer's end and the server's end. If there is no
// handler, both are nil.
func (h *fakeHost) open(from peer.ID) (near *fakeStream, far *fakeStream) {
	h.mu.Lock()
	handler := h.handler
	h.mu.Unlock()
	if handler == nil {
		return nil, nil
	}
	a, b := net.Pipe()
	near = &fakeStream{pipe: a}
	far = &fakeStream{pipe: b, from: from}
	h.streams.Go(func() { handler(far) })
	return near, far
}

// fakeStream is the part of a network.Stream that a Server uses.
type fakeStream struct {
	network.Stream // nil: anything else would panic
	pipe           net.Conn
	from           peer.ID
	closed, reset  atomic.Bool
	code           atomic.Uint32
	service        atomic.Value
}

func (s *fakeStream) Read(p []byte) (int, error)         { return s.pipe.Read(p) }
func (s *fakeStream) Write(p []byte) (int, error)        { return s.pipe.Write(p) }
func (s *fakeStream) SetReadDeadline(t time.Time) error  { return s.pipe.SetReadDeadline(t) }
func (s *fakeStream) SetWriteDeadline(t time.Time) error { return s.pipe.SetWriteDeadline(t) }
func (s *fakeStream) Conn() network.Conn                 { return fakeConn{peer: s.from} }
func (s *fakeStream) Scope() network.StreamScope         { return fakeScope{stream: s} }
func (s *fakeStream) Reset() error                       { return s.ResetWithError(network.StreamNoError) }

// CloseWrite: what was written is there already.
func (s *fakeStream) CloseWrite() error { return nil }

func (s *fakeStream) Close() error {
	if !s.reset.Load() {
		s.closed.Store(true)
	}
	return s.pipe.Close()
}

func (s *fakeStream) ResetWithError(code network.StreamErrorCode) error {
	if !s.closed.Load() && s.reset.CompareAndSwap(false, true) {
		s.code.Store(uint32(code))
	}
	return s.pipe.Close()
}

// ended reports how the server has ended the stream.
func (s *fakeStream) ended() string {
	switch {
	case s.reset.Load():
		return map[network.StreamErrorCode]string{
			network.StreamNoError:               "reset",
			network.StreamGated:                 "gated",
			network.StreamResourceLimitExceeded: "no place",
			network.StreamGarbageCollected:      "too slow",
			network.StreamShutdown:              "shut down",
		}[network.StreamErrorCode(s.code.Load())]
	case s.closed.Load():
		return "closed"
	}
	return "open"
}

type fakeConn struct {
	network.Conn // nil: anything else would panic
	peer         peer.ID
}

func (c fakeConn) RemotePeer() peer.ID { return c.peer }
func (c fakeConn) LocalPeer() peer.ID  { return "server" }

type fakeScope struct {
	network.StreamScope // nil: anything else would panic
	stream              *fakeStream
}

func (s fakeScope) SetService(name string) error {
	if s.stream.from == "greedy" {
		return errors.New("the service has no more for this peer")
	}
	s.stream.service.Store(name)
	return nil
}
