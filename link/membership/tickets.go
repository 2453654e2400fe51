package membership

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
)

// TicketRequest asks for a ticket.
type TicketRequest struct {
	// Role of the peers that join with it; empty: node.
	Role join.Role `json:"role,omitempty"`
	// LifeSeconds is how long it lets peers in; 0: [DefaultTicketLife].
	LifeSeconds int64 `json:"life_seconds,omitempty"`
	// MaxUses is how many peers may join with it; 0: no limit.
	MaxUses int `json:"max_uses,omitempty"`
}

// Ticket is a ticket as its link shows it.
type Ticket struct {
	ID   string    `json:"id"`
	Role join.Role `json:"role"`
	// Text is what a node joins with. It is shown once, when the ticket is made.
	Text      string     `json:"ticket,omitempty"`
	MaxUses   int        `json:"max_uses"`
	Uses      int        `json:"uses"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	// Usable tells whether it can still let a peer in.
	Usable bool `json:"usable"`
}

// ErrBadRequest marks a mistake in the request.
var ErrBadRequest = errors.New("bad request")

// Issuer is what a ticket says about its link.
type Issuer struct {
	// Link is the link's peer id, and Key signs for it.
	Link peer.ID
	Key  crypto.PrivKey
	// Addresses returns the present ones, as soon as there is one by which nodes could come.
	Addresses  func(ctx context.Context) ([]ma.Multiaddr, error)
	Federation string
	// Swarm tells whether nodes of the federation exchange objects.
	Swarm bool
}

// Tickets makes, lists and revokes the tickets of a link.
type Tickets struct {
	members *Members
	store   Store
	issuer  Issuer
}

// NewTickets makes tickets with which peers become members.
func NewTickets(members *Members, issuer Issuer) *Tickets {
	return &Tickets{members: members, store: members.store, issuer: issuer}
}

// Create makes a ticket that names the link's present addresses.
func (t *Tickets) Create(ctx context.Context, req TicketRequest) (Ticket, error) {
	if req.Role == "" {
		req.Role = join.RoleNode
	}
	if err := checkRole(req.Role); err != nil {
		return Ticket{}, err
	}
	life := time.Duration(req.LifeSeconds) * time.Second
	switch {
	case req.LifeSeconds == 0:
		life = DefaultTicketLife
	case req.LifeSeconds < 0 || req.LifeSeconds > int64(maxTicketLife/time.Second):
		return Ticket{}, fmt.Errorf("%w: a ticket cannot live %d s: it must be more than 0 and ten years at most", ErrBadRequest, req.LifeSeconds)
	}
	if req.MaxUses < 0 {
		return Ticket{}, fmt.Errorf("%w: a ticket cannot have %d uses", ErrBadRequest, req.MaxUses)
	}
	addresses, err := t.issuer.Addresses(ctx)
	if err != nil {
		return Ticket{}, err
	}
	secret := randomBytes(tokenBytes)
	hash := sha256.Sum256(secret)
	now := time.Now().Truncate(time.Second)
	token := state.JoinToken{
		ID: hex.EncodeToString(randomBytes(tokenIDBytes)), SecretHash: hash[:], Role: req.Role,
		MaxUses: req.MaxUses, CreatedAt: now, ExpiresAt: now.Add(life),
	}
	if err := t.store.CreateToken(ctx, token); err != nil {
		return Ticket{}, fmt.Errorf("store the ticket: %w", err)
	}
	// The gate must know the ticket before its first user comes.
	if err := t.members.Load(ctx); err != nil {
		return Ticket{}, err
	}
	text, err := ticket.Ticket{
		Link: t.issuer.Link, Addrs: addresses, Federation: t.issuer.Federation,
		TokenID: token.ID, Secret: secret, Role: req.Role, Expires: token.ExpiresAt, Swarm: t.issuer.Swarm,
	}.Sign(t.issuer.Key)
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

func checkRole(role join.Role) error {
	if err := role.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return nil
}

func ticketOf(t state.JoinToken, now time.Time) Ticket {
	return Ticket{
		ID: t.ID, Role: t.Role, MaxUses: t.MaxUses, Uses: t.Uses, CreatedAt: t.CreatedAt,
		ExpiresAt: pointer(t.ExpiresAt), RevokedAt: pointer(t.RevokedAt),
		Usable: usable(t, now),
	}
}

// usable tells whether a ticket lets somebody in.
func usable(t state.JoinToken, now time.Time) bool {
	expired := !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
	spent := t.MaxUses > 0 && t.Uses >= t.MaxUses
	return !expired && !spent && t.RevokedAt.IsZero()
}

// pointer makes the zero time absent in JSON.
func pointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// List gives all tickets, without their secrets.
func (t *Tickets) List(ctx context.Context) ([]Ticket, error) {
	tokens, err := t.store.ListTokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tickets: %w", err)
	}
	now := time.Now()
	tickets := make([]Ticket, len(tokens))
	for i, token := range tokens {
		tickets[i] = ticketOf(token, now)
	}
	return tickets, nil
}

// Revoke keeps a ticket from letting anybody in. Members who joined with it stay. It returns
// state.ErrNotFound for an unknown ticket.
func (t *Tickets) Revoke(ctx context.Context, id string) error {
	if err := t.store.RevokeToken(ctx, id); err != nil {
		return fmt.Errorf("revoke ticket %s: %w", id, err)
	}
	return t.members.Load(ctx)
}
