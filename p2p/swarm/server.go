package swarm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/streams"
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
	source  Source
	streams *streams.Server
}

// NewServer starts to answer on a host; with onlyDirect it takes no relayed streams. The
// caller must Close it.
func NewServer(h streams.Host, source Source, onlyDirect bool) *Server {
	s := &Server{source: source}
	s.streams = streams.Serve(h, ProtocolID, streams.Options{
		Places: maxAskers, PerPeer: maxStreams, First: firstLimit, Writes: writeLimit,
		Admit: func(c network.Conn) bool { return !onlyDirect || !addr.Relayed(c) },
	}, s.handle)
	return s
}

// Close ends all streams and waits for them.
func (s *Server) Close() { s.streams.Close() }

func (s *Server) handle(ctx context.Context, stream *streams.Stream) error {
	a := &answering{stream: stream, wake: make(chan struct{}, 1)}
	if err := a.serve(ctx, s.source); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// answering is one stream of an asker. What is to be told is bounded by what it asked for.
type answering struct {
	stream *streams.Stream
	wake   chan struct{}

	mu   sync.Mutex
	have []string
}

// serve reads until the asker goes.
func (a *answering) serve(ctx context.Context, source Source) error {
	in := bufio.NewReaderSize(a.stream, lineBuffer)
	runID, first, err := readAsk(in)
	if err != nil {
		return fmt.Errorf("read what it wants: %w", err)
	}
	a.stream.Begun()
	asker, err := source.Begin(a.stream.Conn().RemotePeer(), runID, a.tell)
	if err != nil {
		refusal := delimited.Write(a.stream, &swarmpb.Tell{Refused: true})
		_ = a.stream.CloseWrite()
		return errors.Join(err, refusal, drain(a.stream))
	}
	defer asker.Close()
	writing, stop := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() {
		if err := a.write(writing); err != nil {
			_ = a.stream.Reset() // which ends the reader
		}
	})
	defer writer.Wait()
	defer func() {
		stop()
		_ = a.stream.Reset() // a blocked write does not look at its context
	}()
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

// write sends what is to be told, and signs of life, until ctx ends.
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
			if err := writeTell(a.stream, have); err != nil {
				return err
			}
		}
		if more {
			continue
		}
		select {
		case <-a.wake:
		case <-life.C:
			if err := writeTell(a.stream, nil); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}
