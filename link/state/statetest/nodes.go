package statetest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

func testNodes(t *testing.T, e *env) {
	want := state.Node{PeerID: "peer", PublicKey: []byte("pem"), Name: "name", Location: "here", OwnerID: state.AccountNone}
	created, err := e.RegisterNode(e.ctx, want)
	e.ok(err)
	e.reopen()
	for what, find := range map[string]func() (state.Node, error){
		"id":   func() (state.Node, error) { return e.Node(e.ctx, created.ID) },
		"key":  func() (state.Node, error) { return e.NodeByKey(e.ctx, want.PublicKey) },
		"peer": func() (state.Node, error) { return e.NodeByPeer(e.ctx, want.PeerID) },
	} {
		got, err := find()
		e.ok(err)
		if got.ID != created.ID || got.ID < 2 || got.PeerID != want.PeerID || !bytes.Equal(got.PublicKey, want.PublicKey) || got.Name != want.Name ||
			got.Location != want.Location || got.OwnerID != want.OwnerID || got.Status != state.NodeRegistered || !got.RegisteredAt.Equal(e.now()) {
			t.Errorf("node by %s: %+v", what, got)
		}
	}
	_, err = e.Node(e.ctx, 7)
	e.want("Node", err, state.ErrNotFound)
	_, err = e.NodeByKey(e.ctx, nil)
	e.want("NodeByKey", err, state.ErrNotFound)
	_, err = e.NodeByPeer(e.ctx, "")
	e.want("NodeByPeer", err, state.ErrNotFound)
	e.rings("RenameNode", func() { e.ok(e.RenameNode(e.ctx, created.ID, "new", strings.Repeat("x", 1<<20))) }, state.KeyNodes())
	if got, err := e.Node(e.ctx, created.ID); err != nil || got.Name != "new" || len(got.Location) > state.MaxDetailBytes {
		t.Errorf("renamed: %q, %d bytes, %v", got.Name, len(got.Location), err)
	}
	e.want("RenameNode", e.RenameNode(e.ctx, 7, "", ""), state.ErrNotFound)
	e.pass(time.Second)
	second := e.onlineNode("b")
	all, err := e.ListNodes(e.ctx)
	if e.ok(err); len(all) != 2 || all[0].ID != created.ID || all[1].ID != second.ID {
		t.Errorf("all nodes: %+v", all)
	}
	online, err := e.OnlineNodes(e.ctx)
	if e.ok(err); len(online) != 1 || online[0].ID != second.ID {
		t.Errorf("online nodes: %+v", online)
	}
}

func testNodeKeys(_ *testing.T, e *env) {
	a := e.onlineNode("a")
	register := func(peer, key string) error {
		_, err := e.RegisterNode(e.ctx, state.Node{PeerID: peer, PublicKey: []byte(key)})
		return err
	}
	e.want("the same key", register("other", "key-a"), state.ErrKeyInUse)
	e.want("the same peer", register("peer-a", "other"), state.ErrKeyInUse)
	e.ok(e.UnregisterNode(e.ctx, a.ID))
	e.want("the key of a node that left", register("", "key-a"), state.ErrKeyInUse)
	e.want("stock node", register("", "stock 1"), nil)
	e.want("stock node", register("", "stock 2"), nil)
	e.ok(e.AddMember(e.ctx, state.Member{PeerID: "barred", Role: join.RoleNode}))
	e.ok(e.RemoveMember(e.ctx, "barred"))
	e.want("a removed member", register("barred", "k"), state.ErrNotAllowed)
}

func testNodeLiveness(t *testing.T, e *env) {
	node, err := e.RegisterNode(e.ctx, state.Node{PublicKey: []byte("k")})
	e.ok(err)
	status := func(want state.NodeStatus) {
		t.Helper()
		if got, err := e.Node(e.ctx, node.ID); err != nil || got.Status != want {
			t.Errorf("status %s (%v), want %s", got.Status, err, want)
		}
	}
	in := func(d time.Duration) time.Time { return e.now().Add(d) }
	e.rings("ActivateNode", func() { e.ok(e.ActivateNode(e.ctx, node.ID, 30*time.Second, in(time.Minute), false)) }, state.KeyNodes())
	status(state.NodeOnline)
	if got, err := e.Node(e.ctx, node.ID); err != nil || got.HeartbeatInterval != 30*time.Second || !got.OnlineUntil.Equal(in(time.Minute)) || !got.LastActivatedAt.Equal(e.now()) {
		t.Errorf("activated: %+v, %v", got, err)
	}
	e.want("activate an online node", e.ActivateNode(e.ctx, node.ID, time.Second, in(time.Minute), false), state.ErrNotAllowed)
	e.want("take over an online node", e.ActivateNode(e.ctx, node.ID, time.Second, in(time.Minute), true), nil)
	e.pass(30 * time.Second)
	e.silent("TouchNode", func() {
		known, err := e.TouchNode(e.ctx, node.ID, time.Second, in(time.Minute))
		if e.ok(err); !known {
			t.Error("unknown")
		}
	}, state.KeyNodes())
	e.pass(59 * time.Second)
	status(state.NodeOnline)
	e.rings("silence", func() { e.pass(time.Second) }, state.KeyNodes())
	status(state.NodeOffline)
	if got, err := e.Node(e.ctx, node.ID); err != nil || !got.LastDeactivatedAt.Equal(got.OnlineUntil) {
		t.Errorf("silent: %+v, %v", got, err)
	}
	e.rings("a sign of life", func() { _, err := e.TouchNode(e.ctx, node.ID, time.Second, in(time.Hour)); e.ok(err) }, state.KeyNodes())
	status(state.NodeOnline)
	e.rings("DeactivateNode", func() { e.ok(e.DeactivateNode(e.ctx, node.ID)) }, state.KeyNodes())
	e.silent("DeactivateNode again", func() { e.ok(e.DeactivateNode(e.ctx, node.ID)) }, state.KeyNodes())
	status(state.NodeOffline)
	e.want("activate", e.ActivateNode(e.ctx, node.ID, time.Second, in(time.Minute), false), nil)
	e.ok(e.UnregisterNode(e.ctx, node.ID))
	status(state.NodeUnregistered)
	e.want("unregister again", e.UnregisterNode(e.ctx, node.ID), state.ErrNotAllowed)
	e.want("activate an unregistered node", e.ActivateNode(e.ctx, node.ID, time.Second, in(time.Minute), true), state.ErrNotAllowed)
	for _, id := range []uint64{node.ID, 7} {
		if known, err := e.TouchNode(e.ctx, id, time.Second, in(time.Minute)); known || err != nil {
			t.Errorf("touched %d: %v, %v", id, known, err)
		}
	}
	status(state.NodeUnregistered)
	for what, err := range map[string]error{
		"ActivateNode":   e.ActivateNode(e.ctx, 7, time.Second, in(time.Minute), false),
		"DeactivateNode": e.DeactivateNode(e.ctx, 7),
		"UnregisterNode": e.UnregisterNode(e.ctx, 7),
	} {
		e.want(what, err, state.ErrNotFound)
	}
}
