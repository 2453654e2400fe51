package membership

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

// Join decides whether a peer that shows a ticket becomes a member.
func (m *Members) Join(ctx context.Context, from peer.ID, req join.Request) (join.Answer, error) {
	member, err := m.store.Member(ctx, from.String())
	switch {
	case err == nil && !member.RevokedAt.IsZero():
		return join.Answer{}, &join.Refusal{Reason: "the membership of this peer was revoked"}
	case err == nil:
		// A member that has lost its memory joins again to find out what it is.
	case !errors.Is(err, state.ErrNotFound):
		return join.Answer{}, fmt.Errorf("look up member %s: %w", from, err)
	case req.TokenID == "":
		return join.Answer{}, &join.Refusal{Reason: "this peer id is not a member; join with a ticket, or have the operator run: rhizome member add " + from.String()}
	default:
		member, err = m.store.Join(ctx, from.String(), req.TokenID, req.Secret, req.Name)
		switch {
		case errors.Is(err, state.ErrTokenSpent):
			return join.Answer{}, &join.Refusal{Reason: "the ticket is not valid: it is unknown, expired, used up or revoked; ask for a new one"}
		case errors.Is(err, state.ErrNotAllowed):
			return join.Answer{}, &join.Refusal{Reason: "the membership of this peer was revoked"}
		case err != nil:
			return join.Answer{}, fmt.Errorf("let %s join: %w", from, err)
		}
	}
	// The gate and the relays must be open to the new member when it hears the answer.
	if err := m.admitted(ctx, from); err != nil {
		return join.Answer{}, err
	}
	if err := m.cfg.Settle(ctx); err != nil {
		return join.Answer{}, err
	}
	return join.Answer{Role: member.Role, Name: member.Name, Federation: m.cfg.Federation}, nil
}

// LetsIn tells, from memory, whether a request shows a ticket that lets somebody in. It may be out
// of date: only Join decides.
func (m *Members) LetsIn(req join.Request) bool {
	token, known := m.current.Load().tickets[req.TokenID]
	hash := sha256.Sum256(req.Secret)
	return known && subtle.ConstantTimeCompare(hash[:], token.SecretHash) == 1 && usable(token, time.Now())
}
