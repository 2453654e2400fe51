package relay

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/multiformats/go-varint"
	"google.golang.org/protobuf/proto"
)

// stream is a hop stream as go-libp2p's service sees it: the request that was read off it
// comes first, then what the client sends. Since both directions of a circuit pass
// through the stream of the peer that opened it, counting, pacing and cutting it does so
// for the circuit.
//
//	request ──► refused ─────────────────────────► ended
//	   └──────► handed on ──► answered no ──────────┤
//	                └───────► answered OK: circuit ─┘  by either end, a limit, a revocation
//
// One goroutine reads and another writes, as with any stream; cut may come from anywhere.
type stream struct {
	network.Stream
	relay  *Relay
	src    peer.ID
	dst    peer.ID // empty for a reservation
	route  route   // of a circuit; stranger is guarded by books.mu
	bytes  int64   // guarded by books.mu
	replay *bytes.Reader

	byCircuit *pacer[*stream] // of the owner; set while booked
	byOwner   *pacer[peer.ID] // of the federation; set while booked

	answer answer // of the service; used by its goroutine until the circuit runs

	ended   chan struct{} // closed when the stream is over
	endOnce sync.Once
	mu      sync.Mutex
	reason  *Refusal    // why it was cut
	timer   *time.Timer // of a stranger's circuit
}

func newStream(r *Relay, s network.Stream, request []byte) *stream {
	return &stream{
		Stream: s, relay: r, src: s.Conn().RemotePeer(),
		replay: bytes.NewReader(request),
		ended:  make(chan struct{}),
	}
}

// Read returns the request, then what the peer sends, at the pace of the circuit.
func (s *stream) Read(p []byte) (int, error) {
	if s.replay.Len() > 0 {
		return s.replay.Read(p)
	}
	n, err := s.Stream.Read(p)
	if n == 0 || s.dst == "" {
		return n, err
	}
	if err := s.pay(n, forward); err != nil {
		return 0, err
	}
	return n, err
}

// Write sends to the peer: the service's answer, then what comes from the other end, at
// the pace of the circuit.
func (s *stream) Write(p []byte) (int, error) {
	if !s.answer.complete {
		s.answer.feed(p)
		if s.answer.complete {
			s.explain() // before the peer hears of it, and asks why
		}
		return s.Stream.Write(p)
	}
	if err := s.pay(len(p), backward); err != nil {
		return 0, err
	}
	return s.Stream.Write(p)
}

// explain notes why the service refused, if it did.
func (s *stream) explain() {
	what, subject := "circuit", s.dst
	if subject == "" {
		what, subject = "reservation", s.src
	}
	if refusal := explained(s.answer.status, subject); refusal != nil {
		s.relay.refused(s.src, what, refusal)
	}
}

// pay waits for n bytes' turn and books them. It is an error when the circuit is over.
func (s *stream) pay(n int, d direction) error {
	r := s.relay
	select {
	case <-s.ended:
		return s.why()
	default:
	}
	if refusal := r.books.charge(s, n); refusal != nil {
		s.cut(refusal)
		return refusal
	}
	r.metrics.carried(s.route.federation, d, n)
	if s.byCircuit.wait(s, n, s.ended) && s.byOwner.wait(s.route.owner, n, s.ended) && r.pacer.wait(s.route.federation, n, s.ended) {
		return nil
	}
	return s.why()
}

// why it is over.
func (s *stream) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != nil {
		return s.reason
	}
	return io.ErrClosedPipe
}

// cut ends the circuit from outside.
func (s *stream) cut(reason *Refusal) {
	s.halt(reason)
	_ = s.Stream.Reset() // the service notices and resets the other end
}

// halt is the part of cut that never waits for a peer: after it not a byte passes.
func (s *stream) halt(reason *Refusal) {
	s.mu.Lock()
	if s.reason == nil {
		s.reason = reason
	}
	s.mu.Unlock()
	s.relay.refused(s.src, "circuit", reason)
	s.end()
}

// Close and Reset are how the service ends a stream.
func (s *stream) Close() error {
	defer s.end()
	return s.Stream.Close()
}

func (s *stream) Reset() error {
	defer s.end()
	return s.Stream.Reset()
}

func (s *stream) ResetWithError(code network.StreamErrorCode) error {
	defer s.end()
	return s.Stream.ResetWithError(code)
}

// end takes the stream off the books; only the first call counts.
func (s *stream) end() {
	s.endOnce.Do(func() {
		close(s.ended)
		s.mu.Lock()
		if s.timer != nil {
			s.timer.Stop()
		}
		s.mu.Unlock()
		s.relay.ended(s)
	})
}

// answer picks the service's first message out of what it writes.
type answer struct {
	complete bool
	status   pbv2.Status
	raw      []byte
}

func (a *answer) feed(p []byte) {
	a.raw = append(a.raw, p...)
	size, n, err := varint.FromUvarint(a.raw)
	if err != nil || uint64(len(a.raw)-n) < size {
		return // the rest comes with the next write
	}
	var msg pbv2.HopMessage
	if proto.Unmarshal(a.raw[n:n+int(size)], &msg) == nil {
		a.status = msg.GetStatus()
	}
	a.complete, a.raw = true, nil
}
