package membership

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

// someMembers is a store of members.
type someMembers struct {
	state.Store
	list     []state.Member
	joinable bool
	listed   int // times
}

func (s *someMembers) ListMembers(context.Context) ([]state.Member, error) {
	s.listed++
	return s.list, nil
}

func (s *someMembers) Member(_ context.Context, peerID string) (state.Member, error) {
	for _, m := range s.list {
		if m.PeerID == peerID {
			return m, nil
		}
	}
	return state.Member{}, state.ErrNotFound
}

func (s *someMembers) UsableTokens(context.Context) (bool, error)            { return s.joinable, nil }
func (s *someMembers) ListTokens(context.Context) ([]state.JoinToken, error) { return nil, nil }

func newPeer(t *testing.T) peer.ID {
	t.Helper()
	identity, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return identity.ID
}

func TestGate(t *testing.T) {
	node, operator, gone, stranger := newPeer(t), newPeer(t), newPeer(t), newPeer(t)
	store := &someMembers{list: []state.Member{
		{PeerID: node.String(), Role: join.RoleNode},
		{PeerID: operator.String(), Role: join.RoleOperator},
		{PeerID: gone.String(), Role: join.RoleNode, RevokedAt: time.Now()},
		{PeerID: "no peer id", Role: join.RoleNode},
	}}
	m := New(Config{Store: store})
	if got := m.Admit(node); got != admission.Refused {
		t.Errorf("before the members are known, a peer is %s", got)
	}
	for _, joinable := range []bool{false, true} {
		store.joinable = joinable
		if err := m.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		unknown := admission.Refused
		if joinable {
			unknown = admission.Joining
		}
		for p, want := range map[peer.ID]admission.Standing{node: admission.Member, operator: admission.Member, gone: admission.Refused, stranger: unknown} {
			if got := m.Admit(p); got != want {
				t.Errorf("joinable %t: %s, want %s", joinable, got, want)
			}
		}
	}
	if !m.Is(operator, join.RoleOperator) || m.Is(node, join.RoleOperator) || !m.Is(node) || m.Is(gone) || m.Is(stranger) {
		t.Error("roles are mixed up")
	}
}

func TestRevokedPeersAreCutOffOnce(t *testing.T) {
	a, b := newPeer(t), newPeer(t)
	store := &someMembers{list: []state.Member{{PeerID: a.String()}, {PeerID: b.String()}}}
	m := New(Config{Store: store})
	var cut, present []peer.ID
	m.cfg.Revoked = func(p peer.ID) {
		if m.Admit(p) != admission.Refused {
			t.Error("the gate must refuse a peer before it is cut off, or it returns")
		}
		cut = append(cut, p)
	}
	m.cfg.Changed = func(all []peer.ID) { present = all }
	load := func() {
		if err := m.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	load()
	if len(cut) != 0 || len(present) != 2 {
		t.Fatalf("cut %v, present %v", cut, present)
	}
	store.list[1].RevokedAt = time.Now()
	load()
	load()
	if !slices.Equal(cut, []peer.ID{b}) || !slices.Equal(present, []peer.ID{a}) {
		t.Errorf("cut %v, present %v", cut, present)
	}
}

// If 10,000 peers joined together, each join would otherwise read 10,000 members.
func TestWhoJoinsIsAddedToTheOthers(t *testing.T) {
	first, second, gone := newPeer(t), newPeer(t), newPeer(t)
	store := &someMembers{list: []state.Member{{PeerID: first.String()}}, joinable: true}
	m := New(Config{Store: store})
	var joined []peer.ID
	m.cfg.Joined = func(p peer.ID) { joined = append(joined, p) }
	if err := m.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	store.list = append(store.list, state.Member{PeerID: second.String()}, state.Member{PeerID: gone.String(), RevokedAt: time.Now()})
	store.joinable = false // the last use of the ticket is gone
	for _, p := range []peer.ID{second, gone} {
		if err := m.admitted(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	want := map[peer.ID]admission.Standing{first: admission.Member, second: admission.Member, gone: admission.Refused, newPeer(t): admission.Refused}
	for p, standing := range want {
		if got := m.Admit(p); got != standing {
			t.Errorf("%s, want %s", got, standing)
		}
	}
	if store.listed != 1 || !slices.Equal(joined, []peer.ID{second}) {
		t.Errorf("read all members %d times, told of %v", store.listed, joined)
	}
	if err := m.admitted(t.Context(), newPeer(t)); err == nil {
		t.Error("a stranger was added")
	}
}
