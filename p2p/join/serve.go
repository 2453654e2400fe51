package join

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/join/joinpb"
	"github.com/rhizome-fl/rhizome/p2p/streams"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

var log = logs.For("p2p/join")

// Protocol is the one that peers may use before they are members.
const Protocol = admission.JoinProtocol

// Request is what a peer shows in order to become a member.
type Request struct {
	TokenID string // of the ticket; empty if the peer id was allowed by hand
	Secret  []byte // of the ticket
	Name    string // the name that the peer would like; may be empty; up to 64 bytes
}

// Answer is what a new member is told.
type Answer struct {
	Role       Role
	Name       string // what it is called from now on
	Federation string
}

// Refusal is the error of a join that was refused, with a reason for the user. Its
// [errors.Is] target is [admission.ErrRefused].
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return "the link refused to let this peer join: " + r.Reason }

// Is makes a Refusal match [admission.ErrRefused].
func (r *Refusal) Is(target error) bool { return target == admission.ErrRefused }

// Handler decides about a peer, and makes it a member before it returns. A *Refusal is passed on
// to the peer as it is; of any other error the peer learns only that it may try again.
type Handler func(ctx context.Context, from peer.ID, req Request) (Answer, error)

// Host is what Serve needs of a host.
type Host interface {
	streams.Host
	// ShowedTicket says that the peer at the other end of a connection has shown a valid ticket,
	// and need not make room for others until it has joined.
	ShowedTicket(network.Conn)
}

// Serve answers join requests with what decide says. Before a request waits its turn, valid tells
// from memory whether it shows a ticket that lets peers in; if so, the host is told. The caller must
// close the server before the host.
func Serve(h Host, valid func(Request) bool, decide Handler) *streams.Server {
	opts := streams.Options{Places: maxDeciding, Queue: maxWaiting, PerPeer: maxPerPeer, Whole: timeout}
	return streams.Serve(h, Protocol, opts, func(ctx context.Context, s *streams.Stream) error {
		from := s.Conn().RemotePeer()
		var asked joinpb.Request
		if err := delimited.Read(bufio.NewReader(s), maxMessage, &asked); err != nil {
			return fmt.Errorf("bad join request: %w", err)
		}
		req := Request{TokenID: asked.GetTokenId(), Secret: asked.GetSecret(), Name: asked.GetName()}
		if valid(req) {
			h.ShowedTicket(s.Conn())
		}
		if err := s.Turn(ctx); err != nil {
			return err
		}
		return delimited.Write(s, answer(ctx, from, req, decide))
	})
}

func answer(ctx context.Context, from peer.ID, req Request, decide Handler) *joinpb.Answer {
	err := checkName(req.Name)
	var decided Answer
	if err == nil {
		decided, err = decide(ctx, from, req)
	}
	var refusal *Refusal
	switch {
	case err == nil:
		log.Info("joined", "peer", from, "name", decided.Name, "role", decided.Role)
		return &joinpb.Answer{Result: &joinpb.Answer_Accepted{Accepted: &joinpb.Accepted{
			Role: string(decided.Role), Name: decided.Name, Federation: decided.Federation,
		}}}
	case errors.As(err, &refusal):
		log.Info("join refused", "peer", from, "reason", refusal.Reason)
		return &joinpb.Answer{Result: &joinpb.Answer_Refused{Refused: &joinpb.Refused{Reason: refusal.Reason}}}
	}
	log.Error("join not decided", "peer", from, "err", err)
	return &joinpb.Answer{Result: &joinpb.Answer_Refused{Refused: &joinpb.Refused{
		Reason: "the link could not decide; try again", Temporary: true,
	}}}
}

// checkName rejects names that could forge a line of a log or a table.
func checkName(name string) error {
	if len(name) > maxName {
		return &Refusal{fmt.Sprintf("the name has %d bytes; at most %d are allowed", len(name), maxName)}
	}
	if !printable.Is(name) {
		return &Refusal{"the name has characters that cannot be shown"}
	}
	return nil
}
