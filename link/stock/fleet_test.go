package stock

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// A message goes to a SuperNode and its reply comes back; each step is taken twice, as after a lost
// answer.
func TestARound(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run := h.run(true)
	beat := &flwrpb.SendNodeHeartbeatResponse{}
	n.must(flwr.PathFleetSendNodeHeartbeat, &flwrpb.SendNodeHeartbeatRequest{Node: n.node(), HeartbeatInterval: 30}, beat)
	if !beat.GetSuccess() {
		t.Error("the heartbeat was not taken")
	}
	m := h.instruct(run.ID, n.id)

	for range 2 {
		pulled := n.pull()
		if got := pulled.GetMessagesList()[0]; !proto.Equal(got, m.Message) || got.Content == nil {
			t.Fatalf("pulled %v, want %v with its empty content", got, m.Message)
		}
		if !proto.Equal(pulled.GetMessageObjectTrees()[0], m.Tree) || pulled.Reconnect != nil {
			t.Error("the tree changed on its way, or a reconnect was asked for")
		}
		got := &flwrpb.GetRunResponse{}
		n.must(flwr.PathFleetGetRun, &flwrpb.GetRunRequest{Node: n.node(), RunId: run.ID}, got)
		if got.GetRun().GetFabHash() != run.FABHash || got.GetRun().GetSeriesId() == 0 {
			t.Errorf("the run is %v", got.GetRun())
		}
		fab := &flwrpb.GetFabResponse{}
		n.must(flwr.PathFleetGetFAB, &flwrpb.GetFabRequest{Node: n.node(), RunId: run.ID, HashStr: run.FABHash}, fab)
		if object.Sum(fab.GetFab().GetContent()) != run.FABHash || fab.GetFab().GetHashStr() != run.FABHash || fab.GetFab().GetVerifications()["valid_license"] != "yes" {
			t.Errorf("the FAB is %v", fab.GetFab())
		}
		for id, content := range m.Objects {
			if got := n.pullObject(run.ID, id); !got.GetObjectFound() || !got.GetObjectAvailable() || !bytes.Equal(got.GetObjectContent(), content) {
				t.Errorf("object %s came as %v", id, got)
			}
		}
	}
	for range 2 {
		n.confirm(run.ID, m.ID())
	}

	reply := n.reply(m.Message.GetMetadata())
	for range 2 {
		pushed := n.push(reply)
		if len(pushed.GetObjectsToPush()) != 2 || pushed.GetObjectsToPush()[1] != reply.ID() || pushed.GetSessionId() == "" ||
			pushed.GetReconnect().GetReconnect() != 5 || len(pushed.GetResults()) != 1 || pushed.GetResults()[reply.ID()] != 0 {
			t.Errorf("the push was answered with %v", pushed)
		}
	}
	for id, content := range reply.Objects {
		if h.answer(m).Kind != state.NoAnswerYet {
			t.Error("the ServerApp saw an incomplete reply")
		}
		for range 2 {
			if !n.pushObject(run.ID, id, content) {
				t.Errorf("object %s was not stored", id)
			}
		}
	}
	if a := h.answer(m); a.Kind != state.Replied || a.Reply.ID != reply.ID() {
		t.Fatalf("the ServerApp was told %v", a.Kind)
	}
	if again := n.push(reply); len(again.GetObjectsToPush()) != 0 {
		t.Errorf("a complete reply lacks %v", again.GetObjectsToPush())
	}
	testStatistics(t, h, n, run.ID, m, reply)
	n.must(flwr.PathFleetDeactivateNode, &flwrpb.DeactivateNodeRequest{NodeId: n.id}, &flwrpb.DeactivateNodeResponse{})
	if got := h.node(n.id).Status; got != state.NodeOffline {
		t.Errorf("after deactivate the node is %s", got)
	}
	n.must(flwr.PathFleetUnregisterNode, &flwrpb.UnregisterNodeFleetRequest{NodeId: n.id}, &flwrpb.UnregisterNodeFleetResponse{})
	if got := h.node(n.id).Status; got != state.NodeUnregistered {
		t.Errorf("after unregister the node is %s", got)
	}
}

// testStatistics checks what the user is shown of a run: each object moved twice.
func testStatistics(t *testing.T, h *hub, n *superNode, runID uint64, m, reply flwrtest.Letter) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	pulled := n.start(ctx)
	awaitBell(t, h, state.KeyNode(n.id), func() bool {
		run, err := h.store.Run(t.Context(), runID)
		must(t, err)
		return run.BytesReceived == 2*size(reply) && run.BytesSent == 2*size(m) && run.ClientAppRuntime == 1500*time.Millisecond
	})
	leave()
	<-pulled
}

func size(m flwrtest.Letter) (sum uint64) {
	for _, content := range m.Objects {
		sum += uint64(len(content))
	}
	return sum
}

func TestRunsThatAreNotRunning(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	over := h.run(true)
	must(t, h.store.FinishRun(t.Context(), over.ID, task.Stopped, ""))
	running := h.run(true)
	pending := h.run(false)
	large := make([]byte, 1<<20) // the refusal must get through all the same
	const notRunning, noRun, noFAB = `403 {"code":2007,`, `403 {"code":2008,`, `403 {"code":2009,`
	for name, runID := range map[string]uint64{"finished": over.ID, "pending": pending.ID, "unknown": 4711} {
		getRun, getFAB := notRunning, notRunning
		if name == "unknown" {
			getRun, getFAB = noRun, noFAB
		}
		reply := flwrtest.NewLetter(t, &flwrpb.Metadata{RunId: runID, SrcNodeId: n.id, DstNodeId: 1}, "MetricRecord", nil)
		for _, call := range []struct {
			path, want string
			req        proto.Message
		}{
			{flwr.PathFleetGetRun, getRun, &flwrpb.GetRunRequest{Node: n.node(), RunId: runID}},
			{flwr.PathFleetGetFAB, getFAB, &flwrpb.GetFabRequest{Node: n.node(), RunId: runID, HashStr: pending.FABHash}},
			{flwr.PathFleetPullObject, notRunning, &flwrpb.PullObjectRequest{Node: n.node(), RunId: runID, ObjectId: pending.FABHash}},
			{flwr.PathFleetPushObject, notRunning, &flwrpb.PushObjectRequest{Node: n.node(), RunId: runID, ObjectId: pending.FABHash, ObjectContent: large}},
			{flwr.PathFleetConfirmMessageReceived, notRunning, &flwrpb.ConfirmMessageReceivedRequest{Node: n.node(), RunId: runID}},
			{flwr.PathFleetPushMessages, notRunning, n.pushRequest(reply)},
		} {
			if got := n.refused(call.path, call.req); !strings.HasPrefix(got, call.want) {
				t.Errorf("%s run, %s: %s, want %s", name, call.path, got, call.want)
			}
		}
	}
	if got := n.refused(flwr.PathFleetGetFAB, &flwrpb.GetFabRequest{Node: n.node(), RunId: running.ID, HashStr: pending.FABHash}); !strings.HasPrefix(got, noFAB) {
		t.Errorf("the FAB of another run: %s", got)
	}
}

func TestObjectsOfOthers(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run, elsewhere := h.run(true), h.run(true)
	m := h.instruct(elsewhere.ID, n.id)
	if got := n.pullObject(run.ID, m.ID()); got.GetObjectFound() {
		t.Error("an object of another run was found")
	}
	if got := n.pullObject(run.ID, "no id"); got.GetObjectFound() {
		t.Error("no id was found")
	}
	content := []byte("nobody waits for this")
	if n.pushObject(run.ID, object.Sum(content), content) {
		t.Error("an object that nobody is waiting for was stored")
	}
	for id := range m.Objects {
		must(t, h.objects.Remove(id))
		if n.pushObject(elsewhere.ID, id, content) {
			t.Error("other content was stored under an id")
		}
	}
}

func TestAnObjectOnItsWayIsWaitedFor(t *testing.T) {
	h := newHub(t, false)
	n, stranger := newSuperNode(t, h).join(), newSuperNode(t, h).join()
	run := h.run(true)
	m := h.instruct(run.ID, n.id)
	reply := n.reply(m.Message.GetMetadata())
	n.push(reply)
	type answer struct {
		body []byte
		err  error
	}
	pulled := make(chan answer, 1)
	go func() {
		_, body, err := stranger.call(t.Context(), flwr.PathFleetPullObject, &flwrpb.PullObjectRequest{Node: stranger.node(), RunId: run.ID, ObjectId: reply.ID()})
		pulled <- answer{body, err}
	}()
	n.pushObject(run.ID, reply.ID(), reply.Objects[reply.ID()])
	got, res := <-pulled, &flwrpb.PullObjectResponse{}
	must(t, got.err)
	must(t, proto.Unmarshal(got.body, res))
	if !bytes.Equal(res.GetObjectContent(), reply.Objects[reply.ID()]) {
		t.Errorf("the object came as %v", res)
	}
}

// Whatever goes wrong on the link's side, a SuperNode must only ever be told to try again.
func TestTransientFailures(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run := h.run(true)
	m := h.instruct(run.ID, n.id)
	reply := n.reply(m.Message.GetMetadata())
	must(t, h.store.Close())
	for path, req := range map[string]proto.Message{
		flwr.PathFleetRegisterNode:           &flwrpb.RegisterNodeFleetRequest{PublicKey: n.pem},
		flwr.PathFleetActivateNode:           &flwrpb.ActivateNodeRequest{PublicKey: n.pem, HeartbeatInterval: 30},
		flwr.PathFleetDeactivateNode:         &flwrpb.DeactivateNodeRequest{NodeId: n.id},
		flwr.PathFleetUnregisterNode:         &flwrpb.UnregisterNodeFleetRequest{NodeId: n.id},
		flwr.PathFleetSendNodeHeartbeat:      &flwrpb.SendNodeHeartbeatRequest{Node: n.node(), HeartbeatInterval: 30},
		flwr.PathFleetPullMessages:           &flwrpb.PullMessagesRequest{Node: n.node()},
		flwr.PathFleetPushMessages:           n.pushRequest(reply),
		flwr.PathFleetGetRun:                 &flwrpb.GetRunRequest{Node: n.node(), RunId: run.ID},
		flwr.PathFleetGetFAB:                 &flwrpb.GetFabRequest{Node: n.node(), RunId: run.ID, HashStr: run.FABHash},
		flwr.PathFleetPullObject:             &flwrpb.PullObjectRequest{Node: n.node(), RunId: run.ID, ObjectId: m.ID()},
		flwr.PathFleetPushObject:             &flwrpb.PushObjectRequest{Node: n.node(), RunId: run.ID, ObjectId: m.ID()},
		flwr.PathFleetConfirmMessageReceived: &flwrpb.ConfirmMessageReceivedRequest{Node: n.node(), RunId: run.ID, MessageObjectId: m.ID()},
	} {
		if got := n.refused(path, req); !strings.HasPrefix(got, "503 ") {
			t.Errorf("%s without a store: %s", path, got)
		}
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	n.attempt = func(header http.Header) { header.Set("Content-Type", "application/json") }
	if got := n.refused(flwr.PathFleetPullMessages, &flwrpb.PullMessagesRequest{Node: n.node()}); !strings.HasPrefix(got, `415 {"code":1002,`) {
		t.Errorf("JSON: %s", got)
	}
	n.attempt = nil
	garbage := &flwrpb.PullMessagesRequest{}
	garbage.ProtoReflect().SetUnknown([]byte{0x0a, 0xff})
	if got := n.refused(flwr.PathFleetPullMessages, garbage); !strings.HasPrefix(got, `400 {"code":1003,`) {
		t.Errorf("garbage: %s", got)
	}
	if got := n.refused("/v1/fleet/fly", garbage); got != `404 {"detail":"Not Found"}` {
		t.Errorf("an unknown route: %s", got)
	}
}
