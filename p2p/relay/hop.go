package relay

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	"github.com/multiformats/go-varint"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// serviceHost is the host as go-libp2p's relay service sees it: the service's handler of
// hop streams gets them through the door of this package. Circuit v2's ACL hook would not
// do: it can neither count bytes, nor cut, nor say why.
type serviceHost struct {
	host.Host
	relay *Relay
}

// SetStreamHandler puts the door before the service's handler.
func (h *serviceHost) SetStreamHandler(id protocol.ID, handler network.StreamHandler) {
	if id == circuit.ProtoIDv2Hop {
		service := handler
		handler = func(s network.Stream) { h.relay.serveHop(s, service) }
	}
	h.Host.SetStreamHandler(id, handler)
}

// Hop streams are not served through package streams: the handler, its limits and its
// resource scope are go-libp2p's, and a circuit outlives the handler that opened it.

// serveHop judges one request and hands what is allowed to the service. It returns when
// the request is answered; a circuit goes on without it.
func (r *Relay) serveHop(s network.Stream, service network.StreamHandler) {
	if !r.enter() {
		_ = s.Reset()
		return
	}
	defer r.work.Done()
	_ = s.SetReadDeadline(time.Now().Add(handshakeTimeout))
	raw, msg, err := readRequest(s)
	if err != nil {
		r.answerNo(s, "request", refuse(ReasonMalformed, "%v", err))
		return
	}
	_ = s.SetReadDeadline(time.Time{})
	hop := newStream(r, s, raw)
	switch msg.GetType() {
	case pbv2.HopMessage_RESERVE:
		if refusal := r.mayReserve(hop.src); refusal != nil {
			r.answerNo(s, "reservation", refusal)
			return
		}
		r.hand(hop, service)
	case pbv2.HopMessage_CONNECT:
		r.connect(hop, msg, service)
	default:
		r.answerNo(s, "request", refuse(ReasonMalformed, "unknown type of hop message %v", msg.GetType()))
	}
}

func (r *Relay) mayReserve(p peer.ID) *Refusal {
	if r.roster.role(p) != Stranger {
		return nil
	}
	return refuse(ReasonNotAllowed, "no link that this relay serves vouches for %s: join the federation first, or have the relay's operator allow it as a link", p)
}

func (r *Relay) connect(hop *stream, msg *pbv2.HopMessage, service network.StreamHandler) {
	dst, err := util.PeerToPeerInfoV2(msg.GetPeer())
	if err != nil {
		r.answerNo(hop.Stream, "circuit", refuse(ReasonMalformed, "destination: %v", err))
		return
	}
	hop.dst = dst.ID
	if refusal := r.admit(hop); refusal != nil {
		r.answerNo(hop.Stream, "circuit", refusal)
		return
	}
	r.hand(hop, service)
	if hop.answer.status != pbv2.Status_OK {
		hop.end() // the service has closed it already, unless it failed to answer
	}
}

// hand lets the service answer.
func (r *Relay) hand(hop *stream, service network.StreamHandler) {
	service(hop)
	if !hop.answer.complete {
		hop.explain() // it gave up without a word
	}
}

// admit books the circuit. Judging and booking are not one step, so a revocation may come
// between them: the judgement is made again when the circuit can be found by one.
func (r *Relay) admit(hop *stream) *Refusal {
	verdict, allowed := r.roster.judge(hop.src, hop.dst)
	if !allowed {
		return r.notTogether(hop)
	}
	hop.route = verdict
	if refusal := r.books.open(hop); refusal != nil {
		return refusal
	}
	r.work.Add(1) // until ended; serveHop holds the group above zero
	r.metrics.opened(verdict.federation)
	again, allowed := r.roster.judge(hop.src, hop.dst)
	switch {
	case !allowed:
		hop.end()
		return r.notTogether(hop)
	case again.stranger && !verdict.stranger:
		hop.end()
		return revoked(hop.src)
	case verdict.stranger && !again.stranger:
		r.books.promote(verdict.federation, []peer.ID{hop.src})
	case verdict.stranger:
		hop.endWhenStillStranger()
	}
	return nil
}

func (r *Relay) notTogether(hop *stream) *Refusal {
	if r.roster.role(hop.src) == Stranger {
		return refuse(ReasonNotAllowed, "%s is no link of this relay, and no link vouches for you: join the federation first", hop.dst)
	}
	return refuse(ReasonOtherFederation, "%s is no member of a federation that you are in", hop.dst)
}

// endWhenStillStranger cuts the circuit after StrangerTime, if nobody vouches for its
// owner by then.
func (s *stream) endWhenStillStranger() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(StrangerTime, func() {
		select {
		case <-s.ended: // before the timer was set
			return
		default:
		}
		if s.relay.books.stranger(s) {
			s.cut(refuse(ReasonStrangerTime, "no link vouched for this peer within the %v that joining may take", StrangerTime))
		}
	})
}

// answerNo refuses a request in the words of circuit v2 and remembers the real ones.
func (r *Relay) answerNo(s network.Stream, what string, refusal *Refusal) {
	r.refused(s.Conn().RemotePeer(), what, refusal)
	_ = s.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	err := util.NewDelimitedWriter(noClose{s}).WriteMsg(&pbv2.HopMessage{
		Type:   pbv2.HopMessage_STATUS.Enum(),
		Status: refusal.status().Enum(),
	})
	if err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close()
}

// readRequest reads one hop message and not a byte more, since a client may send the
// first bytes of its circuit right behind it.
func readRequest(r io.Reader) (raw []byte, msg *pbv2.HopMessage, err error) {
	content, err := delimited.ReadBytes(delimited.Exactly(r), maxHopMessage)
	if err != nil {
		return nil, nil, fmt.Errorf("read request: %w", err)
	}
	msg = &pbv2.HopMessage{}
	if err := proto.Unmarshal(content, msg); err != nil {
		return nil, nil, errors.New("request is no hop message")
	}
	return append(varint.ToUvarint(uint64(len(content))), content...), msg, nil
}

// noClose keeps a delimited writer from closing what it writes to.
type noClose struct{ io.Writer }
