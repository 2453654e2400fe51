package link

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/admission"
)

// members answers from memory who is a member, as the overlay asks for every connection
// and stream, and tells when somebody no longer is.
type members struct {
	store   state.Store
	current atomic.Pointer[roster]
	// revoked is called for each peer whose membership ended since the last load.
	revoked func(peer.ID)
	// changed is called with all members after each load, and joined with one that was added.
	changed func([]peer.ID)
	joined  func(peer.ID)

	loading sync.Mutex
}

// roster is one state of the membership.
type roster struct {
	members map[peer.ID]state.Member
	// joinable: some ticket could still let somebody in.
	joinable bool
}

func newMembers(store state.Store) *members {
	m := &members{store: store, revoked: func(peer.ID) {}, changed: func([]peer.ID) {}, joined: func(peer.ID) {}}
	m.current.Store(&roster{members: make(map[peer.ID]state.Member)})
	return m
}

// Admit is the overlay's gate. While tickets are out, strangers may try to join; nobody
// else learns more than that there is somebody.
func (m *members) Admit(p peer.ID) admission.Standing {
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

// is tells whether the peer is a member with one of the roles (none given: any role).
func (m *members) is(p peer.ID, roles ...state.Role) bool {
	member, known := m.current.Load().members[p]
	if !known || !member.RevokedAt.IsZero() {
		return false
	}
	for _, role := range roles {
		if member.Role == role {
			return true
		}
	}
	return len(roles) == 0
}

// load reads the membership. It returns when those who are no longer members have been
// cut off.
func (m *members) load(ctx context.Context) error {
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
	before := m.current.Load()
	now := &roster{members: make(map[peer.ID]state.Member, len(list)), joinable: joinable}
	var present []peer.ID
	for _, member := range list {
		id, err := peer.Decode(member.PeerID)
		if err != nil {
			log.Error("a member with a malformed peer id is left out", "peer", member.PeerID, "err", err)
			continue
		}
		now.members[id] = member
		if member.RevokedAt.IsZero() {
			present = append(present, id)
		}
	}
	m.current.Store(now)
	m.changed(present)
	for id, was := range before.members {
		if is, known := now.members[id]; was.RevokedAt.IsZero() && (!known || !is.RevokedAt.IsZero()) {
			m.revoked(id)
		}
	}
	return nil
}

// add takes a new member in without reading all others: where thousands come together, each
// would have to wait for as many reads of as many.
func (m *members) add(ctx context.Context, p peer.ID) error {
	m.loading.Lock()
	defer m.loading.Unlock()
	// Read here and not by the caller: it may have been revoked, and that been loaded, meanwhile.
	member, err := m.store.Member(ctx, p.String())
	if err != nil {
		return fmt.Errorf("look up member %s: %w", p, err)
	}
	joinable, err := m.store.UsableTokens(ctx)
	if err != nil {
		return fmt.Errorf("look for usable tickets: %w", err)
	}
	now := &roster{members: maps.Clone(m.current.Load().members), joinable: joinable}
	now.members[p] = member
	m.current.Store(now)
	if member.RevokedAt.IsZero() {
		m.joined(p)
	}
	return nil
}

// follow loads the membership whenever it changes, until ctx ends. Changes are told to the gate
// by whoever makes them, so this one may rest in between.
func (m *members) follow(ctx context.Context) error {
	watch := m.store.Bell().Watch(state.KeyMembers())
	defer watch.Close()
	for {
		var took time.Duration
		err := retry.Do(ctx, log, "load the membership", func() error {
			began := time.Now()
			defer func() { took = time.Since(began) }()
			return m.load(ctx)
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
