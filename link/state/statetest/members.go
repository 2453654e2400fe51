package statetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

func testMembers(t *testing.T, e *env) {
	want := state.Member{PeerID: "peer-a", Role: join.RoleNode, Name: "a", AddedBy: "admin"}
	e.rings("AddMember", func() { e.ok(e.AddMember(e.ctx, want)) }, state.KeyMembers())
	node := e.onlineNode("a")
	e.reopen()
	got, err := e.Member(e.ctx, "peer-a")
	e.ok(err)
	if got.Role != want.Role || got.Name != want.Name || got.AddedBy != want.AddedBy || got.NodeID != node.ID ||
		!got.AddedAt.Equal(e.now()) || !got.RevokedAt.IsZero() {
		t.Errorf("member: %+v", got)
	}
	e.pass(time.Second)
	e.ok(e.AddMember(e.ctx, state.Member{PeerID: "peer-b", Role: join.RoleObserver}))
	e.ok(e.AddMember(e.ctx, state.Member{PeerID: "peer-b", Role: join.RoleOperator, Name: "b"})) // changes the role
	all, err := e.ListMembers(e.ctx)
	if e.ok(err); len(all) != 2 || all[0].PeerID != "peer-a" || all[1].Role != join.RoleOperator {
		t.Errorf("members: %+v", all)
	}
	e.rings("RemoveMember", func() { e.ok(e.RemoveMember(e.ctx, "peer-a")) }, state.KeyMembers(), state.KeyNodes())
	if n, err := e.Node(e.ctx, node.ID); err != nil || n.Status != state.NodeUnregistered {
		t.Errorf("node of a removed member: %+v, %v", n, err)
	}
	if m, err := e.Member(e.ctx, "peer-a"); err != nil || !m.RevokedAt.Equal(e.now()) {
		t.Errorf("removed member: %+v, %v", m, err)
	}
	e.want("remove again", e.RemoveMember(e.ctx, "peer-a"), state.ErrNotAllowed)
	e.want("remove a stranger", e.RemoveMember(e.ctx, "stranger"), state.ErrNotFound)
	e.want("come back", e.AddMember(e.ctx, want), state.ErrNotAllowed)
	if e.AddMember(e.ctx, state.Member{Role: join.RoleNode}) == nil {
		t.Error("a member without a peer id was added")
	}
	_, err = e.Member(e.ctx, "stranger")
	e.want("Member", err, state.ErrNotFound)

	c := e.onlineNode("c")
	e.ok(e.AddMember(e.ctx, state.Member{PeerID: "peer-c", Role: join.RoleNode}))
	e.rings("UnregisterNode", func() { e.ok(e.UnregisterNode(e.ctx, c.ID)) }, state.KeyMembers())
	if m, err := e.Member(e.ctx, "peer-c"); err != nil || m.RevokedAt.IsZero() {
		t.Errorf("member of an unregistered node: %+v, %v", m, err)
	}
}

func token(id string, uses int) state.JoinToken {
	hash := sha256.Sum256([]byte("secret of " + id))
	return state.JoinToken{ID: id, SecretHash: hash[:], Role: join.RoleNode, MaxUses: uses}
}

func (e *env) join(peer, tokenID string) error {
	_, err := e.Join(e.ctx, peer, tokenID, []byte("secret of "+tokenID), "name of "+peer)
	return err
}

func (e *env) wantUsable(want bool) {
	e.t.Helper()
	if got, err := e.UsableTokens(e.ctx); got != want || err != nil {
		e.t.Errorf("usable tokens: %v, %v, want %v", got, err, want)
	}
}

func testJoinTokens(t *testing.T, e *env) {
	e.wantUsable(false)
	e.ok(e.CreateToken(e.ctx, token("one", 1)))
	if e.CreateToken(e.ctx, token("one", 5)) == nil {
		t.Error("two tokens with one id were created")
	}
	e.wantUsable(true)
	_, err := e.Join(e.ctx, "a", "one", []byte("guess"), "")
	e.want("a wrong secret", err, state.ErrTokenSpent)
	e.want("an unknown token", e.join("a", "two"), state.ErrTokenSpent)
	var m state.Member
	e.rings("Join", func() {
		m, err = e.Join(e.ctx, "a", "one", []byte("secret of one"), "A")
		e.ok(err)
	}, state.KeyMembers())
	if m.PeerID != "a" || m.Role != join.RoleNode || m.Name != "A" || m.AddedBy != "ticket one" {
		t.Errorf("joined as %+v", m)
	}
	e.wantUsable(false)
	e.want("a member again", e.join("a", "one"), nil)
	e.want("a second peer", e.join("b", "one"), state.ErrTokenSpent)

	expiring := token("expiring", 0)
	expiring.ExpiresAt, expiring.Role = e.now().Add(time.Minute), join.RoleObserver
	e.ok(e.CreateToken(e.ctx, expiring))
	e.wantUsable(true)
	e.ok(e.join("c", "expiring"))
	e.ok(e.join("d", "expiring"))
	e.pass(time.Minute)
	e.wantUsable(false)
	e.want("an expired token", e.join("e", "expiring"), state.ErrTokenSpent)

	e.ok(e.CreateToken(e.ctx, token("revoked", 0)))
	e.rings("RevokeToken", func() { e.ok(e.RevokeToken(e.ctx, "revoked")) }, state.KeyMembers())
	e.ok(e.RevokeToken(e.ctx, "revoked"))
	e.want("a revoked token", e.join("e", "revoked"), state.ErrTokenSpent)
	e.want("RevokeToken", e.RevokeToken(e.ctx, "unknown"), state.ErrNotFound)

	e.ok(e.CreateToken(e.ctx, token("more", 0)))
	e.ok(e.RemoveMember(e.ctx, "a"))
	e.want("a removed peer", e.join("a", "more"), state.ErrNotAllowed)
	e.reopen()
	tokens, err := e.ListTokens(e.ctx)
	e.ok(err)
	got := make(map[string]string)
	for _, tok := range tokens {
		got[tok.ID] = fmt.Sprint(tok.Role, tok.MaxUses, tok.Uses, tok.RevokedAt.IsZero(), tok.ExpiresAt.Equal(expiring.ExpiresAt))
	}
	want := map[string]string{"one": "node1 1 true false", "expiring": "observer0 2 true true", "revoked": "node0 0 false false", "more": "node0 0 true false"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tokens: %v, want %v", got, want)
	}
}

// A token for three lets three in, however many come at once.
func testJoinRace(t *testing.T, e *env) {
	e.ok(e.CreateToken(e.ctx, token("three", 3)))
	var in atomic.Int32
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			err := e.join(fmt.Sprint("peer ", i), "three")
			if err == nil {
				in.Add(1)
			} else if !errors.Is(err, state.ErrTokenSpent) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	members, err := e.ListMembers(e.ctx)
	if e.ok(err); in.Load() != 3 || len(members) != 3 {
		t.Errorf("%d were told that they are in, %d are, want 3", in.Load(), len(members))
	}
}
