package objects

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/objects/exchangepb"
	"github.com/rhizome-fl/rhizome/p2p/streams"
)

// ServerOptions of a Server. Zero values mean the defaults of limits.go.
type ServerOptions struct {
	Serving int // streams that are sent on at a time
	Queued  int // streams that wait for their turn
	PerPeer int // streams of one peer, queued ones included

	// Guest, if set, tells which peers are given only what is spare: on direct connections,
	// on Guests streams at a time. Further ones are told to come again, not queued: they
	// have others to ask meanwhile.
	Guest  func(peer.ID) bool
	Guests int

	// Meter is told what is sent; nil for nobody.
	Meter Meter
	// Pace, if set, is called before each block and may wait: a limit on uploads. What it
	// waits counts against the receiver's patience with a silent stream (30 s).
	Pace func(ctx context.Context, to peer.ID, bytes int) error
}

func (o ServerOptions) withDefaults() ServerOptions {
	if o.Serving == 0 {
		o.Serving = DefaultServing
	}
	if o.Queued == 0 {
		o.Queued = DefaultQueued
	}
	if o.PerPeer == 0 {
		o.PerPeer = DefaultPerPeer
	}
	if o.Guest == nil {
		o.Guest = func(peer.ID) bool { return false }
	}
	if o.Guests == 0 {
		o.Guests = DefaultGuests
	}
	if o.Meter == nil {
		o.Meter = noMeter{}
	}
	return o
}

// Server returns objects of a store to peers. A stream's life:
//
//	accepted ──► queued ──► serving ──► closed
//	    │           │          └──────► reset: the peer is gone, silent or speaks nonsense
//	    └───────────┴──► told to come back (too many streams)
type Server struct {
	store     Store
	authorize Authorize
	opts      ServerOptions
	guests    *semaphore.Weighted
	streams   *streams.Server
}

// NewServer starts to serve a store on a host. The caller must Close it.
func NewServer(h streams.Host, store Store, authorize Authorize, opts ServerOptions) *Server {
	opts = opts.withDefaults()
	s := &Server{store: store, authorize: authorize, opts: opts, guests: semaphore.NewWeighted(int64(opts.Guests))}
	s.streams = streams.Serve(h, ProtocolID, streams.Options{
		Places: opts.Serving, Queue: opts.Queued, PerPeer: opts.PerPeer,
		First: requestLimit, Reads: idleLimit, Writes: idleLimit,
		Admit: func(c network.Conn) bool { return !addr.Relayed(c) || !opts.Guest(c.RemotePeer()) },
		Busy:  sayBusy,
	}, s.handle)
	return s
}

// Close ends all streams and waits for them.
func (s *Server) Close() { s.streams.Close() }

func (s *Server) handle(ctx context.Context, stream *streams.Stream) error {
	to := stream.Conn().RemotePeer()
	if s.opts.Guest(to) {
		if !s.guests.TryAcquire(1) {
			return sayBusy(stream, fmt.Errorf("%d others are being served", s.opts.Guests))
		}
		defer s.guests.Release(1)
	}
	return s.serve(ctx, to, stream)
}

// sayBusy has a peer come again.
func sayBusy(to io.Writer, why error) error {
	return writeAnswer(to, answer{status: exchangepb.Answer_BUSY, detail: why.Error()})
}

// serve answers one request.
func (s *Server) serve(ctx context.Context, to peer.ID, stream *streams.Stream) error {
	req, err := readRequest(bufio.NewReaderSize(stream, requestBuffer))
	if err != nil {
		return err
	}
	stream.Begun()
	if err := whileWaiting(ctx, stream, stream.Turn); err != nil {
		return err
	}
	buf := blocks.get()
	defer blocks.put(buf)
	sending := sending{Server: s, ctx: ctx, to: to, runID: req.runID, out: stream, left: req.budget, buf: *buf}
	for _, w := range req.wants {
		if sending.left == 0 {
			return nil
		}
		if err := sending.answer(w); err != nil {
			return fmt.Errorf("send object %s: %w", w.id, err)
		}
	}
	return nil
}

// sending is the serving of one request.
type sending struct {
	*Server
	ctx   context.Context
	to    peer.ID
	runID uint64
	out   io.Writer
	left  int64 // of the budget
	buf   []byte
}

// answer sends the Answer to a want and what follows it. An error ends the stream.
func (s *sending) answer(w want) error {
	var f File
	var refusal *answer
	err := whileWaiting(s.ctx, s.out, func(ctx context.Context) error {
		f, refusal = s.open(ctx, w)
		return nil
	})
	if err != nil {
		if f != nil {
			_ = f.Close()
		}
		return err
	}
	if refusal != nil {
		return writeAnswer(s.out, *refusal)
	}
	defer f.Close()
	offset := min(w.offset, f.Size())
	length := min(f.Size()-offset, s.left)
	if err := writeAnswer(s.out, answer{status: exchangepb.Answer_OK, size: f.Size(), length: length}); err != nil {
		return err
	}
	s.left -= length
	return s.copy(io.NewSectionReader(f, offset, length), length)
}

// open opens a wanted object, or says why the peer does not get it.
func (s *sending) open(ctx context.Context, w want) (File, *answer) {
	err := s.authorize(ctx, s.to, s.runID, w.id)
	switch {
	case errors.Is(err, ErrRefused):
		return nil, &answer{status: exchangepb.Answer_REFUSED}
	case err != nil:
		log.Warn("could not decide whether a peer may have an object", "peer", s.to, "run", s.runID, "object", w.id, "err", err)
		return nil, &answer{status: exchangepb.Answer_FAILED, detail: "authorisation failed"}
	}
	if w.suspect {
		// The outcome shows in Open: a bad file has been set aside.
		if err := s.store.Verify(w.id); err != nil {
			log.Warn("a peer complained of an object", "peer", s.to, "object", w.id, "err", err)
		}
	}
	f, err := s.store.Open(w.id)
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrCorrupt):
		return nil, &answer{status: exchangepb.Answer_NOT_FOUND}
	}
	log.Error("an object could not be read", "peer", s.to, "object", w.id, "err", err)
	return nil, &answer{status: exchangepb.Answer_FAILED, detail: "it could not be read"}
}

// copy sends length bytes block by block.
func (s *sending) copy(r io.Reader, length int64) error {
	for length > 0 {
		block := s.buf[:min(length, int64(len(s.buf)))]
		if _, err := io.ReadFull(r, block); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if s.opts.Pace != nil {
			if err := s.opts.Pace(s.ctx, s.to, len(block)); err != nil {
				return err
			}
		}
		if _, err := s.out.Write(block); err != nil {
			return err
		}
		s.opts.Meter.Sent(s.to, s.runID, len(block))
		length -= int64(len(block))
	}
	return nil
}
