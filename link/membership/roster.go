package membership

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

// Store is what the membership is kept in; see [state.Store].
type Store interface {
	state.Membership
	Bell() *wake.Bell
}

// Config configures a membership. Only Store is required.
type Config struct {
	Store Store
	// Federation is the name that a new member is told it has joined.
	Federation string

	// Revoked is called for each peer whose membership has ended since the last load.
	Revoked func(peer.ID)
	// Changed is called with all members after each load, and Joined with one that was added.
	Changed func([]peer.ID)
	Joined  func(peer.ID)
	// Settle returns once those who let members pass elsewhere know of the latest change.
	Settle func(ctx context.Context) error
	// Connected tells whether there is a connection to a peer now.
	Connected func(peer.ID) bool
}

// Members are the members of a federation. Create them with New, then call Load; Follow keeps
// them in step with the store.
type Members struct {
	cfg     Config
	store   Store
	current atomic.Pointer[roster]
	loading sync.Mutex
}

// roster is one state of the membership.
type roster struct {
	members map[peer.ID]state.Member
	// joinable: some ticket could still let a peer in.
	joinable bool
	// tickets that could when all was loaded, by their ids. Never changed.
	tickets map[string]state.JoinToken
}

// New makes a membership that lets nobody in before [Members.Load].
func New(cfg Config) *Members {
	m := &Members{cfg: cfg.withDefaults(), store: cfg.Store}
	m.current.Store(&roster{members: make(map[peer.ID]state.Member)})
	return m
}

func (c Config) withDefaults() Config {
	if c.Revoked == nil {
		c.Revoked = func(peer.ID) {}
	}
	if c.Changed == nil {
		c.Changed = func([]peer.ID) {}
	}
	if c.Joined == nil {
		c.Joined = func(peer.ID) {}
	}
	if c.Settle == nil {
		c.Settle = func(context.Context) error { return nil }
	}
	if c.Connected == nil {
		c.Connected = func(peer.ID) bool { return false }
	}
	return c
}

// Admit is the overlay's gate. While tickets are out, strangers may try to join; otherwise they
// learn only that somebody is there.
func (m *Members) Admit(p peer.ID) admission.Standing {
	now := m.current.Load()
	member, known := now.members[p]
	switch {
	case known && member.RevokedAt.IsZero():
		return admission.Member
	case !known && now.joinable:
		return admission.Joining
	}
	return admission.Refused
}

// Is reports whether the peer is a member with one of the roles (none given: any role).
func (m *Members) Is(p peer.ID, roles ...join.Role) bool {
	member, known := m.current.Load().members[p]
	if !known || !member.RevokedAt.IsZero() {
		return false
	}
	if slices.Contains(roles, member.Role) {
		return true
	}
	return len(roles) == 0
}

// Load reads the membership. By the time it returns, those who are no longer members have been
// cut off.
func (m *Members) Load(ctx context.Context) error {
	m.loading.Lock()
	defer m.loading.Unlock()
	list, err := m.store.ListMembers(ctx)
	if err != nil {
		return fmt.Errorf("list the members: %w", err)
	}
	joinable, err := m.store.UsableTokens(ctx)
	if err != nil {
		return fmt.Errorf("look for usable tickets: %w", err)
	}
	tickets, err := m.usableTickets(ctx)
	if err != nil {
		return err
	}
	before := m.current.Load()
	now := &roster{members: make(map[peer.ID]state.Member, len(list)), joinable: joinable, tickets: tickets}
	var present []peer.ID
	for _, member := range list {
		id, err := peer.Decode(member.PeerID)
		if err != nil {
			log.Error("a member with a malformed peer id was left out", "peer", member.PeerID, "err", err)
			continue
		}
		now.members[id] = member
		if member.RevokedAt.IsZero() {
			present = append(present, id)
		}
	}
	m.current.Store(now)
	m.cfg.Changed(present)
	for id, was := range before.members {
		if is, known := now.members[id]; was.RevokedAt.IsZero() && (!known || !is.RevokedAt.IsZero()) {
			m.cfg.Revoked(id)
		}
	}
	return nil
}

func (m *Members) usableTickets(ctx context.Context) (map[string]state.JoinToken, error) {
	list, err := m.store.ListTokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tickets: %w", err)
	}
	tickets := make(map[string]state.JoinToken)
	now := time.Now()
	for _, token := range list {
		if usable(token, now) {
			tickets[token.ID] = token
		}
	}
	return tickets, nil
}

// admitted takes a new member in without reading all the others: when thousands join together,
// each would have to wait for thousands of reads of thousands of members.
func (m *Members) admitted(ctx context.Context, p peer.ID) error {
	m.loading.Lock()
	defer m.loading.Unlock()
	// It is read here and not by the caller: meanwhile it may have been revoked, and that loaded.
	member, err := m.store.Member(ctx, p.String())
	if err != nil {
		return fmt.Errorf("look up member %s: %w", p, err)
	}
	joinable, err := m.store.UsableTokens(ctx)
	if err != nil {
		return fmt.Errorf("look for usable tickets: %w", err)
	}
	before := m.current.Load()
	now := &roster{members: maps.Clone(before.members), joinable: joinable, tickets: before.tickets}
	now.members[p] = member
	m.current.Store(now)
	if member.RevokedAt.IsZero() {
		m.cfg.Joined(p)
	}
	return nil
}

// Follow loads the membership whenever it changes, until ctx ends. Whoever makes a change tells
// the gate, so Follow may rest in between.
func (m *Members) Follow(ctx context.Context) error {
	watch := m.store.Bell().Watch(state.KeyMembers())
	defer watch.Close()
	for {
		var took time.Duration
		err := retry.Do(ctx, log, "load the membership", func() error {
			began := time.Now()
			defer func() { took = time.Since(began) }()
			return m.Load(ctx)
		})
		if err != nil {
			return err
		}
		rest := time.NewTimer(followRest * took)
		select {
		case <-rest.C:
		case <-ctx.Done():
			rest.Stop()
			return ctx.Err()
		}
		select {
		case <-watch.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
