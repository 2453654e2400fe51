package swarm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/swarm/swarmpb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// Source decides what askers are told. [Hub] and [Board] are sources.
type Source interface {
	// Begin takes an asker in, or not: ErrRefused. tell says to it what it may fetch here; it
	// does not block, and does nothing once the Asker is closed.
	Begin(p peer.ID, runID uint64, tell func(ids []string)) (Asker, error)
}

// Asker is somebody who lacks objects. Its methods are called one after the other.
type Asker interface {
	// Heard takes what the peer says. An error ends the stream.
	Heard(Ask) error
	Close()
}

// Server answers streams of askers.
type Server struct {
	host   host.Host
	source Source
	direct bool

	ctx  context.Context
	stop context.CancelFunc

	mu     sync.Mutex
	closed bool
	byPeer map[peer.ID]int
	done   sync.WaitGroup
}

// NewServer starts to answer on a host; with onlyDirect it takes no relayed streams. The
// caller must Close it.
func NewServer(h host.Host, source Source, onlyDirect bool) *Server {
	s := &Server{host: h, source: source, direct: onlyDirect, byPeer: make(map[peer.ID]int)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	h.SetStreamHandler(ProtocolID, s.handle)
	return s
}

// Close ends all streams and waits for them.
func (s *Server) Close() {
	s.host.RemoveStreamHandler(ProtocolID)
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.done.Wait()
}

// handle is libp2p's entry, on a goroutine of its own.
func (s *Server) handle(stream network.Stream) {
	p := stream.Conn().RemotePeer()
	if s.direct && addr.Relayed(stream.Conn()) || !s.enter(p) {
		_ = stream.Reset()
		return
	}
	defer s.leave(p)
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	a := &answering{stream: stream, end: cancel, wake: make(chan struct{}, 1)}
	err := a.serve(ctx, p, s.source)
	if err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
		log.Debug("an asker was left", "peer", p, "err", err)
	}
	_ = stream.Reset()
}

func (s *Server) enter(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.byPeer[p] >= maxStreams {
		return false
	}
	s.byPeer[p]++
	s.done.Add(1)
	return true
}

func (s *Server) leave(p peer.ID) {
	s.mu.Lock()
	if s.byPeer[p]--; s.byPeer[p] == 0 {
		delete(s.byPeer, p)
	}
	s.mu.Unlock()
	s.done.Done()
}

// answering is one stream of an asker. What is to be told is bounded by what it asked for.
type answering struct {
	stream network.Stream
	end    context.CancelCauseFunc
	wake   chan struct{}

	mu   sync.Mutex
	have []string
}

// serve reads until the asker goes.
func (a *answering) serve(ctx context.Context, p peer.ID, source Source) error {
	_ = a.stream.SetReadDeadline(time.Now().Add(firstLimit))
	in := bufio.NewReaderSize(a.stream, 4<<10)
	runID, first, err := readAsk(in)
	if err != nil {
		return fmt.Errorf("read what it wants: %w", err)
	}
	_ = a.stream.SetReadDeadline(time.Time{})
	asker, err := source.Begin(p, runID, a.tell)
	if err != nil {
		_ = a.stream.SetWriteDeadline(time.Now().Add(writeLimit))
		refusal := delimited.Write(a.stream, &swarmpb.Tell{Refused: true})
		_ = a.stream.CloseWrite()
		return errors.Join(err, refusal, drain(a.stream))
	}
	defer asker.Close()
	var writer sync.WaitGroup
	writer.Go(func() { a.end(a.write(ctx)) })
	defer writer.Wait()
	defer a.end(nil)
	for ask := first; ; {
		if err := asker.Heard(ask); err != nil {
			return err
		}
		if _, ask, err = readAsk(in); err != nil {
			return err
		}
	}
}

// drain lets a refusal arrive: a reset could overtake it.
func drain(stream network.Stream) error {
	_ = stream.SetReadDeadline(time.Now().Add(firstLimit))
	_, err := io.Copy(io.Discard, io.LimitReader(stream, maxMessage))
	return err
}

func (a *answering) tell(ids []string) {
	a.mu.Lock()
	a.have = append(a.have, ids...)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// write sends what is to be told, and signs of life.
func (a *answering) write(ctx context.Context) error {
	life := time.NewTicker(sign)
	defer life.Stop()
	for {
		a.mu.Lock()
		have := a.have[:min(len(a.have), maxAsked)]
		a.have = a.have[len(have):]
		more := len(a.have) > 0
		a.mu.Unlock()
		if len(have) > 0 {
			if err := a.send(have); err != nil {
				return err
			}
		}
		if more {
			continue
		}
		select {
		case <-a.wake:
		case <-life.C:
			if err := a.send(nil); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *answering) send(have []string) error {
	_ = a.stream.SetWriteDeadline(time.Now().Add(writeLimit))
	return writeTell(a.stream, have)
}
