package membership

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p"
)

// Join decides about a peer that shows a ticket.
func (m *Members) Join(ctx context.Context, from peer.ID, req p2p.JoinRequest) (p2p.JoinAnswer, error) {
	member, err := m.store.Member(ctx, from.String())
	switch {
	case err == nil && !member.RevokedAt.IsZero():
		return p2p.JoinAnswer{}, &p2p.Refusal{Reason: "the membership of this peer was revoked"}
	case err == nil:
		// Joining again is how a member that lost its memory finds out what it is.
	case !errors.Is(err, state.ErrNotFound):
		return p2p.JoinAnswer{}, fmt.Errorf("look up member %s: %w", from, err)
	case req.TokenID == "":
		return p2p.JoinAnswer{}, &p2p.Refusal{Reason: "this peer id is not a member; join with a ticket, or have the operator run: rhizome member add " + from.String()}
	default:
		member, err = m.store.Join(ctx, from.String(), req.TokenID, req.Secret, req.Name)
		switch {
		case errors.Is(err, state.ErrTokenSpent):
			return p2p.JoinAnswer{}, &p2p.Refusal{Reason: "the ticket is not valid any more: it is unknown, expired, used up or revoked; ask for a new one"}
		case errors.Is(err, state.ErrNotAllowed):
			return p2p.JoinAnswer{}, &p2p.Refusal{Reason: "the membership of this peer was revoked"}
		case err != nil:
			return p2p.JoinAnswer{}, fmt.Errorf("let %s join: %w", from, err)
		}
	}
	// The new member must find the gate, and the relays, open when it hears the answer.
	if err := m.admitted(ctx, from); err != nil {
		return p2p.JoinAnswer{}, err
	}
	if err := m.cfg.Settle(ctx); err != nil {
		return p2p.JoinAnswer{}, err
	}
	return p2p.JoinAnswer{Role: string(member.Role), Name: member.Name, Federation: m.cfg.Federation}, nil
}
