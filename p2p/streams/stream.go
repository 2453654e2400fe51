package streams

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Stream is one stream being served. Like any stream it is for one reader and one writer at a
// time; the other methods are for the handler's goroutine, or one goroutine at a time.
type Stream struct {
	network.Stream
	server *Server
	first  *time.Timer // nil: there is no bound, or the peer has begun
	turned bool
}

// Begun notes that the first message is here: Options.First no longer applies.
func (s *Stream) Begun() {
	if s.first != nil {
		s.first.Stop()
	}
}

// Turn waits for one of the places of a server that has a queue, in the order of asking. The place
// is kept until the handler returns. Turn fails if ctx ends first.
func (s *Stream) Turn(ctx context.Context) error {
	if s.turned || s.server.turns == nil {
		return nil
	}
	if err := s.server.turns.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	s.turned = true
	return nil
}

// TryTurn is Turn without waiting; it returns false if there is no place.
func (s *Stream) TryTurn() bool {
	if !s.turned && s.server.turns != nil {
		s.turned = s.server.turns.TryAcquire(1)
		return s.turned
	}
	return true
}

func (s *Stream) giveTurnBack() {
	if s.turned {
		s.server.turns.Release(1)
	}
}

// Moving is a stream on which something has to move: a read has to bring something within Reads,
// and a write has to move something within Writes. A time of zero means no bound.
type Moving struct {
	network.Stream
	Reads, Writes time.Duration
}

func (m Moving) Read(p []byte) (int, error) {
	if m.Reads > 0 {
		if err := m.SetReadDeadline(time.Now().Add(m.Reads)); err != nil {
			return 0, err
		}
	}
	return m.Stream.Read(p)
}

func (m Moving) Write(p []byte) (written int, err error) {
	if m.Writes <= 0 {
		return m.Stream.Write(p)
	}
	for {
		if err := m.SetWriteDeadline(time.Now().Add(m.Writes)); err != nil {
			return written, err
		}
		n, err := m.Stream.Write(p[written:])
		written += n
		var timeout net.Error
		if n == 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
			return written, err
		}
		// A slow receiver took part of it in that time.
	}
}
