package stock

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"context"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

func TestRegistration(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h)
	register := &flwrpb.RegisterNodeFleetRequest{PublicKey: n.pem}
	activate := &flwrpb.ActivateNodeRequest{PublicKey: n.pem, HeartbeatInterval: 30}
	if got := n.refused(flwr.PathFleetActivateNode, activate); !strings.HasPrefix(got, `412 {"code":2004,`) {
		t.Errorf("a node was activated without being registered: %s", got)
	}
	first, second := &flwrpb.RegisterNodeFleetResponse{}, &flwrpb.RegisterNodeFleetResponse{}
	n.must(flwr.PathFleetRegisterNode, register, first)
	n.must(flwr.PathFleetRegisterNode, register, second)
	if n.id = first.GetNodeId(); second.GetNodeId() != n.id {
		t.Errorf("registered as %d, and after a lost answer as %d", n.id, second.GetNodeId())
	}
	if got := n.refused(flwr.PathFleetDeactivateNode, &flwrpb.DeactivateNodeRequest{NodeId: n.id}); !strings.HasPrefix(got, `412 {"code":2005,`) {
		t.Errorf("a node was deactivated before it was active: %s", got)
	}
	n.activate()
	if got := n.refused(flwr.PathFleetRegisterNode, register); !strings.HasPrefix(got, `412 {"code":23,`) {
		t.Errorf("the key of an active node was registered: %s", got)
	}
	must(t, h.store.UnregisterNode(t.Context(), n.id))
	if got := n.refused(flwr.PathFleetRegisterNode, register); !strings.HasPrefix(got, `412 {"code":23,`) {
		t.Errorf("the key of an unregistered node was registered: %s", got)
	}
	if got := n.refused(flwr.PathFleetActivateNode, activate); !strings.HasPrefix(got, `412 {"code":2004,`) {
		t.Errorf("an unregistered node was activated: %s", got)
	}
	if got := n.refused(flwr.PathFleetPullMessages, &flwrpb.PullMessagesRequest{Node: n.node()}); got != `401 {"detail":"Invalid SuperNode authentication"}` {
		t.Errorf("an unregistered node pulled: %s", got)
	}
}

func TestRegisteredOnly(t *testing.T) {
	h := newHub(t, true)
	n := newSuperNode(t, h)
	if got := n.refused(flwr.PathFleetRegisterNode, &flwrpb.RegisterNodeFleetRequest{PublicKey: n.pem}); !strings.HasPrefix(got, `412 {"code":2001,`) {
		t.Errorf("register: %s", got)
	}
	node, err := h.store.RegisterNode(t.Context(), state.Node{PublicKey: n.pem, OwnerID: state.AccountNone})
	must(t, err)
	n.id = node.ID
	n.activate()
	if got := n.refused(flwr.PathFleetUnregisterNode, &flwrpb.UnregisterNodeFleetRequest{NodeId: n.id}); !strings.HasPrefix(got, `412 {"code":2002,`) {
		t.Errorf("unregister: %s", got)
	}
	if got := h.node(n.id).Status; got != state.NodeOnline {
		t.Errorf("the node is %s", got)
	}
}

func TestHeartbeatIntervals(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	for _, interval := range []float64{0, -30, 9.99, 1800.1, math.NaN(), math.Inf(1)} {
		for path, req := range map[string]proto.Message{
			flwr.PathFleetActivateNode:      &flwrpb.ActivateNodeRequest{PublicKey: n.pem, HeartbeatInterval: interval},
			flwr.PathFleetSendNodeHeartbeat: &flwrpb.SendNodeHeartbeatRequest{Node: n.node(), HeartbeatInterval: interval},
		} {
			if got := n.refused(path, req); !strings.HasPrefix(got, `400 {"code":2003,`) {
				t.Errorf("%s every %v s: %s", path, interval, got)
			}
		}
	}
	began := time.Now()
	n.must(flwr.PathFleetSendNodeHeartbeat, &flwrpb.SendNodeHeartbeatRequest{Node: n.node(), HeartbeatInterval: 600}, &flwrpb.SendNodeHeartbeatResponse{})
	if until := h.node(n.id).OnlineUntil; until.Before(began.Add(20 * time.Minute)) {
		t.Errorf("online until %s after now, want two intervals", until.Sub(began))
	}
}

func TestHeartbeatBringsANodeBack(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	n.must(flwr.PathFleetDeactivateNode, &flwrpb.DeactivateNodeRequest{NodeId: n.id}, &flwrpb.DeactivateNodeResponse{})
	n.must(flwr.PathFleetDeactivateNode, &flwrpb.DeactivateNodeRequest{NodeId: n.id}, &flwrpb.DeactivateNodeResponse{})
	if got := h.node(n.id).Status; got != state.NodeOffline {
		t.Fatalf("the node is %s", got)
	}
	n.must(flwr.PathFleetSendNodeHeartbeat, &flwrpb.SendNodeHeartbeatRequest{Node: n.node(), HeartbeatInterval: 30}, &flwrpb.SendNodeHeartbeatResponse{})
	if got := h.node(n.id).Status; got != state.NodeOnline {
		t.Errorf("after a heartbeat the node is %s", got)
	}
}

// A SuperNode is killed, and started again with the same key before it was missed. It has lost all
// it had: a message that it had confirmed, one that it had not, and one whose reply it had sent in
// part.
func TestACrashedNodeTakesItsPlaceBack(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run := h.run(true)
	want := make(map[string]bool)
	for range 2 {
		m := h.instruct(run.ID, n.id)
		want[m.ID()] = true
		if got := n.pullID(); got != m.ID() {
			t.Fatalf("pulled %s", got)
		}
		n.confirm(run.ID, m.ID())
		if len(want) == 2 {
			n.push(n.reply(m.Message.GetMetadata()))
		}
	}
	m := h.instruct(run.ID, n.id)
	want[m.ID()] = true
	n.pullID()
	answered := h.instruct(run.ID, n.id)
	reply := n.reply(answered.Message.GetMetadata())
	for _, id := range n.push(reply).GetObjectsToPush() {
		n.pushObject(run.ID, id, reply.Objects[id])
	}

	n.activate()
	for len(want) > 0 {
		id := n.pullID()
		if !want[id] {
			t.Fatalf("pulled %s, which is not owed", id)
		}
		delete(want, id)
		n.confirm(run.ID, id)
	}
	if got := h.answer(answered).Kind; got != state.Replied {
		t.Errorf("the answered message is %v", got)
	}
}

// touched counts the signs of life that reach the store.
type touched struct {
	state.Store
	nodes, leases int
}

func (c *touched) TouchNode(context.Context, uint64, time.Duration, time.Time) (bool, error) {
	c.nodes++
	return true, nil
}

func (c *touched) ExtendLeases(context.Context, uint64, time.Time) error {
	c.leases++
	return nil
}

func TestRequestsAreSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 30 * time.Second
		store := &touched{}
		s := &server{cfg: Config{Store: store}}
		node := state.Node{ID: 7, Status: state.NodeOnline, HeartbeatInterval: interval, OnlineUntil: time.Now().Add(patience * interval)}
		for range 60 { // one every second
			s.lives(t.Context(), &node)
			time.Sleep(time.Second)
		}
		if store.nodes != 5 || store.leases != 5 {
			t.Errorf("%d and %d records in a minute, want one every %s", store.nodes, store.leases, lifeStep)
		}
		node.Status = state.NodeOffline
		time.Sleep(time.Minute)
		s.lives(t.Context(), &node)
		if store.nodes != 5 {
			t.Error("a straggler brought the node back")
		}
	})
}
