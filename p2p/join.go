package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/joinpb"
)

// JoinRequest is what a peer shows in order to become a member.
type JoinRequest struct {
	TokenID string // of the ticket; empty if the peer id was allowed by hand
	Secret  []byte // of the ticket
	Name    string // wished for; may be empty; up to 64 bytes
}

// JoinAnswer is what a new member is told.
type JoinAnswer struct {
	Role       string // node, operator or observer
	Name       string // what it is called from now on
	Federation string
}

// Refusal is the error of a join that was refused, with a reason for the user. Its
// [errors.Is] target is [admission.ErrRefused].
type Refusal struct{ Reason string }

func (r *Refusal) Error() string        { return "the link refused to let this peer join: " + r.Reason }
func (r *Refusal) Is(target error) bool { return target == admission.ErrRefused }

// JoinHandler decides about a peer, and makes it a member before it returns. A *Refusal is
// told to the peer as it is; of other errors it learns only that it may try again.
type JoinHandler func(ctx context.Context, from peer.ID, req JoinRequest) (JoinAnswer, error)

// ServeJoin answers join requests with what decide says, up to 32 at a time.
func ServeJoin(h *Host, decide JoinHandler) {
	slots := make(chan struct{}, maxJoins)
	h.SetStreamHandler(admission.JoinProtocol, func(s network.Stream) {
		defer s.Close()
		s.SetDeadline(time.Now().Add(joinTimeout))
		ctx, cancel := context.WithTimeout(h.ctx, joinTimeout)
		defer cancel()
		from := s.Conn().RemotePeer()
		var req joinpb.Request
		if err := readMessage(s, &req); err != nil {
			log.Debug("bad join request", "peer", from, "err", err)
			s.Reset()
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			s.Reset()
			return
		}
		if _, err := protodelim.MarshalTo(s, answerJoin(ctx, from, &req, decide)); err != nil {
			log.Info("join answer not sent", "peer", from, "err", err)
			s.Reset()
		}
	})
}

func answerJoin(ctx context.Context, from peer.ID, req *joinpb.Request, decide JoinHandler) *joinpb.Answer {
	name := req.GetName()
	err := checkName(name)
	var answer JoinAnswer
	if err == nil {
		answer, err = decide(ctx, from, JoinRequest{TokenID: req.GetTokenId(), Secret: req.GetSecret(), Name: name})
	}
	var refusal *Refusal
	switch {
	case err == nil:
		log.Info("joined", "peer", from, "name", answer.Name, "role", answer.Role)
		return &joinpb.Answer{Result: &joinpb.Answer_Accepted{Accepted: &joinpb.Accepted{
			Role: answer.Role, Name: answer.Name, Federation: answer.Federation,
		}}}
	case errors.As(err, &refusal):
		log.Info("join refused", "peer", from, "reason", refusal.Reason)
		return &joinpb.Answer{Result: &joinpb.Answer_Refused{Refused: &joinpb.Refused{Reason: refusal.Reason}}}
	}
	log.Error("join not decided", "peer", from, "err", err)
	return &joinpb.Answer{Result: &joinpb.Answer_Refused{Refused: &joinpb.Refused{
		Reason: "the link could not decide; it can be tried again", Temporary: true,
	}}}
}

// checkName keeps names that could forge a line of a log or a table out of both.
func checkName(name string) error {
	if len(name) > maxName {
		return &Refusal{fmt.Sprintf("the name has %d bytes, and may have %d", len(name), maxName)}
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return &Refusal{"the name has characters that can not be shown"}
	}
	return nil
}

// Join asks the link at a target to become a member, and tries again while the link is busy
// or not there, until ctx ends. Whatever the answer, the connections to the link
// are closed then: they belong to a peer that may only join, and [Host.Keep] makes new ones.
// The error is a [*Refusal] or [admission.ErrRefused] when the link said no.
func Join(ctx context.Context, h *Host, t Target, req JoinRequest) (JoinAnswer, error) {
	if err := checkName(req.Name); err != nil {
		return JoinAnswer{}, err
	}
	d := newDialer(h, t)
	h.intents.count(h.intents.joins, t.Peer, 1)
	defer h.intents.count(h.intents.joins, t.Peer, -1)
	ctx, cancel := context.WithCancel(ctx)
	defer d.close()
	defer cancel()
	pause := newBackoff(maxBackoff)
	for {
		answer, err := joinOnce(ctx, d, req)
		if !h.intents.Keeps(t.Peer) {
			h.Network().ClosePeer(t.Peer)
		}
		if err == nil || errors.Is(err, admission.ErrRefused) || errors.Is(err, errNoLink) {
			return answer, err
		}
		h.failed(t.Peer, err)
		log.Info("join", "link", t.Peer, "err", err)
		if !sleep(ctx, pause.NextBackOff(), nil) {
			return JoinAnswer{}, fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
	}
}

// errNoLink: another try would find the same.
var errNoLink = errors.New("it is not a SuperLink: it does not speak " + string(admission.JoinProtocol))

func joinOnce(ctx context.Context, d *dialer, req JoinRequest) (JoinAnswer, error) {
	to := d.target.Peer
	c, err := d.reach(ctx)
	if err != nil {
		return JoinAnswer{}, fmt.Errorf("join: %w", err)
	}
	s, err := d.h.open(ctx, c, admission.JoinProtocol)
	if errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}) {
		return JoinAnswer{}, fmt.Errorf("join %s: %w", to, errNoLink)
	} else if err != nil {
		return JoinAnswer{}, fmt.Errorf("join: %w", err)
	}
	defer s.Reset()
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	s.SetDeadline(time.Now().Add(joinTimeout))
	var answer joinpb.Answer
	_, err = protodelim.MarshalTo(s, &joinpb.Request{TokenId: req.TokenID, Secret: req.Secret, Name: req.Name})
	if err == nil {
		err = readMessage(s, &answer)
	}
	if err != nil {
		return JoinAnswer{}, fmt.Errorf("join %s: %w", to, admission.Refusal(d.h.Peerstore(), c, admission.JoinProtocol, err))
	}
	switch result := answer.GetResult().(type) {
	case *joinpb.Answer_Accepted:
		a := result.Accepted
		return JoinAnswer{Role: a.GetRole(), Name: a.GetName(), Federation: a.GetFederation()}, nil
	case *joinpb.Answer_Refused:
		if result.Refused.GetTemporary() {
			return JoinAnswer{}, fmt.Errorf("join %s: %s", to, printable(result.Refused.GetReason()))
		}
		return JoinAnswer{}, &Refusal{printable(result.Refused.GetReason())}
	}
	return JoinAnswer{}, fmt.Errorf("join %s: the answer says neither yes nor no", to)
}

func readMessage(s io.Reader, m proto.Message) error {
	return protodelim.UnmarshalOptions{MaxSize: maxJoinMessage}.UnmarshalFrom(bufio.NewReader(s), m)
}

// printable makes what a stranger wrote fit for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
}
