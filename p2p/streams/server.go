package streams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/semaphore"

	"github.com/rhizome-fl/rhizome/internal/logs"
)

var log = logs.For("p2p/streams")

// These are the reasons why the context of a stream ends before its handler has returned.
var (
	// ErrClosed: the server is closed.
	ErrClosed = errors.New("this side no longer serves the protocol")
	errFirst  = errors.New("the peer did not say in time what it wants")
	errWhole  = errors.New("the stream took too long")
)

// Host is the part of a libp2p host that a Server needs.
type Host interface {
	SetStreamHandler(protocol.ID, network.StreamHandler)
	RemoveStreamHandler(protocol.ID)
}

// Handler serves one stream. It need neither close nor reset it. Its context ends with the server
// and when the stream's time is up; the stream is then reset, so that blocked reads and writes
// return.
type Handler func(ctx context.Context, s *Stream) error

// Server serves a protocol. A stream's life:
//
//	opened ──► admitted ──► counted in ──► handler runs ──► closed
//	   │           │             │               └──► reset: error, panic, out of time, server closed
//	   └───────────┴─────────────┴──► reset, or told that there is no place
type Server struct {
	host   Host
	proto  protocol.ID
	opts   Options
	handle Handler
	turns  *semaphore.Weighted // nil: there is no queue

	ctx  context.Context
	stop context.CancelCauseFunc

	mu     sync.Mutex
	closed bool
	open   int
	byPeer map[peer.ID]int
	work   sync.WaitGroup
}

// Serve begins to serve a protocol on a host. The caller must Close the Server before the host. It
// panics if opts lacks a bound.
func Serve(h Host, proto protocol.ID, opts Options, handle Handler) *Server {
	if err := opts.validate(); err != nil {
		panic(fmt.Sprintf("serve %s: %v", proto, err))
	}
	s := &Server{host: h, proto: proto, opts: opts, handle: handle, byPeer: make(map[peer.ID]int)}
	if opts.Queue > 0 {
		s.turns = semaphore.NewWeighted(int64(opts.Places))
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	h.SetStreamHandler(proto, s.arrived)
	return s
}

// Close ends all streams and waits for their handlers. It may be called more than once.
func (s *Server) Close() {
	s.refuse()
	s.stop(ErrClosed)
	s.work.Wait()
}

// refuse takes no more streams. Those being served go on.
func (s *Server) refuse() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		s.host.RemoveStreamHandler(s.proto)
	}
}

// arrived is libp2p's entry point, on a goroutine of its own.
func (s *Server) arrived(raw network.Stream) {
	if !s.begin() {
		_ = raw.ResetWithError(network.StreamShutdown)
		return
	}
	defer s.work.Done()
	defer func() {
		if reason := recover(); reason != nil {
			log.Error("a handler panicked", "protocol", s.proto, "peer", raw.Conn().RemotePeer(), "panic", reason, "stack", string(debug.Stack()))
			_ = raw.Reset()
		}
	}()
	s.admit(raw)
}

// begin counts a stream as something that Close waits for.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Add(1)
	}
	return !s.closed
}

// admit lets a stream through to the handler, or sends it away.
func (s *Server) admit(raw network.Stream) {
	if s.opts.Admit != nil && !s.opts.Admit(raw.Conn()) {
		_ = raw.ResetWithError(network.StreamGated)
		return
	}
	if err := raw.Scope().SetService(string(s.proto)); err != nil {
		s.turnAway(raw, err)
		return
	}
	p := raw.Conn().RemotePeer()
	if err := s.enter(p); err != nil {
		s.turnAway(raw, err)
		return
	}
	defer s.leave(p)
	s.run(raw)
}

// turnAway tells the peer that there is no place.
func (s *Server) turnAway(raw network.Stream, why error) {
	log.Debug("no place for a stream", "protocol", s.proto, "peer", raw.Conn().RemotePeer(), "err", why)
	if s.opts.Busy != nil {
		_ = raw.SetWriteDeadline(time.Now().Add(busyTime))
		if s.opts.Busy(raw, why) == nil && raw.CloseWrite() == nil {
			hearOut(raw)
			return
		}
	}
	_ = raw.ResetWithError(network.StreamResourceLimitExceeded)
}

// hearOut takes what a peer has to say that was answered before it said it. A stream that is
// closed at once tells the peer's transport to stop sending, by which a request that is still being
// written fails, and the answer to it is never read.
func hearOut(raw network.Stream) {
	_ = raw.SetReadDeadline(time.Now().Add(busyTime))
	_, _ = io.CopyN(io.Discard, raw, maxUnheard)
	_ = raw.Close()
}

func (s *Server) enter(p peer.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.byPeer[p] >= s.opts.PerPeer:
		return fmt.Errorf("a peer may have %d streams at a time", s.opts.PerPeer)
	case s.open >= s.opts.Places+s.opts.Queue:
		return fmt.Errorf("%d streams are open already", s.open)
	}
	s.open++
	s.byPeer[p]++
	return nil
}

func (s *Server) leave(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.byPeer[p]--; s.byPeer[p] == 0 {
		delete(s.byPeer, p)
	}
}

// run has the handler serve a stream, and ends the stream.
func (s *Server) run(raw network.Stream) {
	ctx, end := context.WithCancelCause(s.ctx)
	defer end(nil)
	if s.opts.Whole > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.opts.Whole, errWhole)
		defer cancel()
	}
	// Blocked reads and writes do not look at ctx.
	keep := context.AfterFunc(ctx, func() { _ = raw.ResetWithError(codeOf(context.Cause(ctx))) })
	defer keep()
	st := &Stream{Stream: raw, server: s}
	if s.opts.Reads > 0 || s.opts.Writes > 0 {
		st.Stream = Moving{Stream: raw, Reads: s.opts.Reads, Writes: s.opts.Writes}
	}
	if s.opts.First > 0 {
		st.first = time.AfterFunc(s.opts.First, func() { end(errFirst) })
		defer st.first.Stop()
	}
	defer st.giveTurnBack()
	err := s.handle(ctx, st)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the handler's own error is only a consequence of the reset
	}
	if err != nil {
		log.Debug("a stream failed", "protocol", s.proto, "peer", raw.Conn().RemotePeer(), "err", err)
		_ = raw.ResetWithError(codeOf(err))
		return
	}
	keep()
	_ = raw.Close()
}

// codeOf returns what the other end is told about a reset.
func codeOf(err error) network.StreamErrorCode {
	switch {
	case errors.Is(err, ErrClosed):
		return network.StreamShutdown
	case errors.Is(err, errFirst), errors.Is(err, errWhole):
		return network.StreamGarbageCollected
	}
	return network.StreamNoError
}
