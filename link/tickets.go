package link

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/ticket"
)

// TicketRequest asks for a ticket.
type TicketRequest struct {
	// Role of who joins with it; empty: node.
	Role state.Role `json:"role,omitempty"`
	// LifeSeconds until it lets nobody in any more; 0: [DefaultTicketLife].
	LifeSeconds int64 `json:"life_seconds,omitempty"`
	// MaxUses is how many peers may join with it; 0: no limit.
	MaxUses int `json:"max_uses,omitempty"`
}

// Ticket is a ticket as its link shows it.
type Ticket struct {
	ID   string     `json:"id"`
	Role state.Role `json:"role"`
	// Text is what a node joins with. It is shown once, when the ticket is made.
	Text      string     `json:"ticket,omitempty"`
	MaxUses   int        `json:"max_uses"`
	Uses      int        `json:"uses"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	// Usable tells whether it still lets somebody in.
	Usable bool `json:"usable"`
}

// errBadRequest marks mistakes of who asks.
var errBadRequest = errors.New("bad request")

// CreateTicket makes a ticket that names the link's addresses of now.
func (l *Link) CreateTicket(ctx context.Context, req TicketRequest) (Ticket, error) {
	if req.Role == "" {
		req.Role = state.RoleNode
	}
	if err := checkRole(req.Role); err != nil {
		return Ticket{}, err
	}
	life := time.Duration(req.LifeSeconds) * time.Second
	switch {
	case req.LifeSeconds == 0:
		life = DefaultTicketLife
	case req.LifeSeconds < 0 || req.LifeSeconds > int64(maxTicketLife/time.Second):
		return Ticket{}, fmt.Errorf("%w: a ticket that lives %d s: want more than none, and at most ten years", errBadRequest, req.LifeSeconds)
	}
	if req.MaxUses < 0 {
		return Ticket{}, fmt.Errorf("%w: a ticket for %d uses", errBadRequest, req.MaxUses)
	}
	if err := l.awaitAddresses(ctx); err != nil {
		return Ticket{}, err
	}
	secret := randomBytes(tokenBytes)
	hash := sha256.Sum256(secret)
	now := time.Now().Truncate(time.Second)
	token := state.JoinToken{
		ID: hex.EncodeToString(randomBytes(tokenIDBytes)), SecretHash: hash[:], Role: req.Role,
		MaxUses: req.MaxUses, CreatedAt: now, ExpiresAt: now.Add(life),
	}
	if err := l.store.CreateToken(ctx, token); err != nil {
		return Ticket{}, fmt.Errorf("store the ticket: %w", err)
	}
	// The gate must know of it before its first user comes.
	if err := l.members.load(ctx); err != nil {
		return Ticket{}, err
	}
	text, err := ticket.Ticket{
		Link: l.host.ID(), Addrs: l.host.Addresses(), Federation: l.cfg.Federation,
		TokenID: token.ID, Secret: secret, Role: string(req.Role), Expires: token.ExpiresAt, Swarm: l.cfg.Swarm,
	}.Sign(l.host.Identity().Key)
	if err != nil {
		return Ticket{}, fmt.Errorf("sign the ticket: %w", err)
	}
	made := ticketOf(token, now)
	made.Text = text
	return made, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func checkRole(role state.Role) error {
	switch role {
	case state.RoleNode, state.RoleOperator, state.RoleObserver:
		return nil
	}
	return fmt.Errorf("%w: role %q: want node, operator or observer", errBadRequest, role)
}

func ticketOf(t state.JoinToken, now time.Time) Ticket {
	expired := !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
	spent := t.MaxUses > 0 && t.Uses >= t.MaxUses
	return Ticket{
		ID: t.ID, Role: t.Role, MaxUses: t.MaxUses, Uses: t.Uses, CreatedAt: t.CreatedAt,
		ExpiresAt: pointer(t.ExpiresAt), RevokedAt: pointer(t.RevokedAt),
		Usable: !expired && !spent && t.RevokedAt.IsZero(),
	}
}

// pointer makes the zero time absent in JSON.
func pointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// ListTickets gives all tickets, without what is secret in them.
func (l *Link) ListTickets(ctx context.Context) ([]Ticket, error) {
	tokens, err := l.store.ListTokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tickets: %w", err)
	}
	now := time.Now()
	tickets := make([]Ticket, len(tokens))
	for i, t := range tokens {
		tickets[i] = ticketOf(t, now)
	}
	return tickets, nil
}

// RevokeTicket keeps a ticket from letting anybody in. Who joined with it stays.
// state.ErrNotFound.
func (l *Link) RevokeTicket(ctx context.Context, id string) error {
	if err := l.store.RevokeToken(ctx, id); err != nil {
		return fmt.Errorf("revoke ticket %s: %w", id, err)
	}
	return l.members.load(ctx)
}

// Member is a member as its link shows it.
type Member struct {
	PeerID    string     `json:"peer_id"`
	Role      state.Role `json:"role"`
	Name      string     `json:"name,omitempty"`
	NodeID    uint64     `json:"node_id,omitempty,string"`
	AddedAt   time.Time  `json:"added_at"`
	AddedBy   string     `json:"added_by"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	// Connected tells whether there is a connection now.
	Connected bool `json:"connected"`
}

// MemberRequest lets a peer in without a ticket.
type MemberRequest struct {
	PeerID string `json:"peer_id"`
	// Role; empty: node.
	Role state.Role `json:"role,omitempty"`
	Name string     `json:"name,omitempty"`
}

// AddMember lets a peer in. state.ErrNotAllowed for one that was removed: that is final.
func (l *Link) AddMember(ctx context.Context, req MemberRequest) error {
	id, err := peer.Decode(req.PeerID)
	if err != nil {
		return fmt.Errorf("%w: peer id %q: %w", errBadRequest, req.PeerID, err)
	}
	if req.Role == "" {
		req.Role = state.RoleNode
	}
	if err := checkRole(req.Role); err != nil {
		return err
	}
	err = l.store.AddMember(ctx, state.Member{PeerID: id.String(), Role: req.Role, Name: req.Name, AddedAt: time.Now(), AddedBy: "admin"})
	if err != nil {
		return fmt.Errorf("add member %s: %w", id, err)
	}
	return l.members.load(ctx)
}

// RemoveMember revokes a membership, finally. When it returns, the peer's connections are
// cut and its node is unregistered.
func (l *Link) RemoveMember(ctx context.Context, peerID string) error {
	id, err := peer.Decode(peerID)
	if err != nil {
		return fmt.Errorf("%w: peer id %q: %w", errBadRequest, peerID, err)
	}
	if err := l.store.RemoveMember(ctx, id.String()); err != nil {
		return fmt.Errorf("remove member %s: %w", id, err)
	}
	return l.members.load(ctx)
}

// ListMembers gives all members, also those that were removed.
func (l *Link) ListMembers(ctx context.Context) ([]Member, error) {
	list, err := l.store.ListMembers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the members: %w", err)
	}
	members := make([]Member, len(list))
	for i, m := range list {
		members[i] = Member{
			PeerID: m.PeerID, Role: m.Role, Name: m.Name, NodeID: m.NodeID,
			AddedAt: m.AddedAt, AddedBy: m.AddedBy, RevokedAt: pointer(m.RevokedAt),
		}
		if id, err := peer.Decode(m.PeerID); err == nil {
			members[i].Connected = len(l.host.Paths(id)) > 0
		}
	}
	return members, nil
}
