package sim

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

var errCut = errors.New("the connection was cut")

// linkHost is all that the session server needs of a libp2p host.
type linkHost struct {
	host.Host // nil: anything else would panic
	mu        sync.Mutex
	serve     network.StreamHandler
}

func (h *linkHost) SetStreamHandler(_ protocol.ID, serve network.StreamHandler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serve = serve
}

func (h *linkHost) RemoveStreamHandler(protocol.ID) { h.SetStreamHandler("", nil) }

func (h *linkHost) handler() network.StreamHandler {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.serve
}

// Paths that a stream may take.
var (
	directPath  = ma.StringCast("/ip4/11.0.0.1/tcp/4001")
	relayedPath = ma.StringCast("/ip4/11.0.0.2/tcp/4001/p2p-circuit")
)

// connect makes a stream between two peers, and returns both of its ends.
func connect(dice *dice, a, b peer.ID) (atA, atB *stream) {
	toB, toA := newPipe(dice), newPipe(dice)
	path := directPath
	if dice.oneIn(2) {
		path = relayedPath
	}
	atA = &stream{in: toA, out: toB, remote: b, path: path}
	atB = &stream{in: toB, out: toA, remote: a, path: path}
	return atA, atB
}

// pipe carries bytes one way. Chunks arrive in order, each after its own delay.
type pipe struct {
	dice *dice
	wake chan struct{} // holds a value when the reader should look again

	mu       sync.Mutex
	chunks   []chunk
	last     time.Time // arrival of the last chunk
	deadline time.Time // of the reader
	closed   bool      // the end, after the chunks
	err      error     // the end, at once
	swallow  bool      // what is written never arrives, and nobody is told
}

type chunk struct {
	at   time.Time
	data []byte
}

func newPipe(dice *dice) *pipe { return &pipe{dice: dice, wake: make(chan struct{}, 1)} }

func (p *pipe) change(edit func()) {
	p.mu.Lock()
	edit()
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pipe) write(data []byte) (err error) {
	delay := p.dice.upTo(200 * time.Millisecond)
	p.change(func() {
		if err = p.err; err != nil || p.swallow {
			return
		}
		at := time.Now().Add(delay)
		if at.Before(p.last) {
			at = p.last
		}
		p.last = at
		p.chunks = append(p.chunks, chunk{at, append([]byte(nil), data...)})
	})
	return err
}

func (p *pipe) read(into []byte) (int, error) {
	for {
		n, wait, err := p.take(into)
		if n > 0 || err != nil {
			return n, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-p.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take reads what has arrived, or says how long to wait.
func (p *pipe) take(into []byte) (n int, wait time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, wait := time.Now(), time.Hour
	if p.err != nil {
		return 0, 0, p.err
	}
	if len(p.chunks) > 0 {
		first := &p.chunks[0]
		if !first.at.After(now) {
			n = copy(into, first.data)
			if first.data = first.data[n:]; len(first.data) == 0 {
				p.chunks = p.chunks[1:]
			}
			return n, 0, nil
		}
		wait = first.at.Sub(now)
	} else if p.closed {
		return 0, 0, errCut
	}
	if !p.deadline.IsZero() {
		if !p.deadline.After(now) {
			return 0, 0, os.ErrDeadlineExceeded
		}
		wait = min(wait, p.deadline.Sub(now))
	}
	return 0, wait, nil
}

func (p *pipe) fail(err error) {
	p.change(func() {
		if p.err == nil {
			p.err = err
		}
	})
}

// stream is one end of a session's stream.
type stream struct {
	network.Stream // nil: anything else would panic
	in, out        *pipe
	remote         peer.ID
	path           ma.Multiaddr
	// beforeWrite sees each frame; it may never return, for example when the process dies.
	beforeWrite func(data []byte) error
}

func (s *stream) Read(p []byte) (int, error) { return s.in.read(p) }

func (s *stream) Write(p []byte) (int, error) {
	if s.beforeWrite != nil {
		if err := s.beforeWrite(p); err != nil {
			return 0, err
		}
	}
	if err := s.out.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *stream) Close() error {
	s.out.change(func() { s.out.closed = true })
	return nil
}

func (s *stream) CloseWrite() error { return s.Close() }

// Reset ends the stream at this end at once, and at the other end if the line carries anything.
func (s *stream) Reset() error {
	s.in.fail(errCut)
	s.out.mu.Lock()
	swallow := s.out.swallow
	s.out.mu.Unlock()
	if !swallow {
		s.out.fail(errCut)
	}
	return nil
}

func (s *stream) ResetWithError(network.StreamErrorCode) error { return s.Reset() }

func (s *stream) Scope() network.StreamScope { return &network.NullScope{} }

func (s *stream) SetReadDeadline(t time.Time) error {
	s.in.change(func() { s.in.deadline = t })
	return nil
}

// SetWriteDeadline does nothing: the line takes everything.
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

func (s *stream) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

func (s *stream) Conn() network.Conn { return conn{stream: s} }

// blackhole makes the line stop carrying anything, one way or both, without telling anybody.
func (s *stream) blackhole(in, out bool) {
	if in {
		s.in.change(func() { s.in.swallow = true })
	}
	if out {
		s.out.change(func() { s.out.swallow = true })
	}
}

// conn is the connection of one stream.
type conn struct {
	network.Conn // nil: anything else would panic
	stream       *stream
}

func (c conn) RemotePeer() peer.ID           { return c.stream.remote }
func (c conn) RemoteMultiaddr() ma.Multiaddr { return c.stream.path }
func (c conn) Close() error                  { return c.stream.Reset() }
func (c conn) Stat() network.ConnStats       { return network.ConnStats{} }
