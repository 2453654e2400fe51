package stock

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
)

func TestOneReplyAPush(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run := h.run(true)
	m := h.instruct(run.ID, n.id)
	reply := n.reply(m.Message.GetMetadata())
	good := n.pushRequest(reply)
	for name, req := range map[string]*flwrpb.PushMessagesRequest{
		"nothing":      {Node: n.node()},
		"no tree":      {Node: n.node(), MessagesList: good.GetMessagesList()},
		"two messages": {Node: n.node(), MessagesList: []*flwrpb.Message{reply.Message, reply.Message}, MessageObjectTrees: good.GetMessageObjectTrees()},
		"two runtimes": {Node: n.node(), MessagesList: good.GetMessagesList(), MessageObjectTrees: good.GetMessageObjectTrees(), ClientappRuntimeList: []float64{1, 2}},
	} {
		if got := n.refused(flwr.PathFleetPushMessages, req); !strings.HasPrefix(got, `400 {"code":3013,`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	good.ClientappRuntimeList = nil // it is only a statistic
	n.must(flwr.PathFleetPushMessages, good, &flwrpb.PushMessagesResponse{})
}

// A reply that is not for this link, node or instruction is dropped silently, and without harm to
// the instruction.
func TestRepliesThatNobodyWaitsFor(t *testing.T) {
	h := newHub(t, false)
	n, stranger := newSuperNode(t, h).join(), newSuperNode(t, h).join()
	run, elsewhere := h.run(true), h.run(true)
	m := h.instruct(run.ID, n.id)
	for name, change := range map[string]func(md *flwrpb.Metadata){
		"unknown instruction": func(md *flwrpb.Metadata) { md.ReplyToMessageId = "4711" },
		"no instruction":      func(md *flwrpb.Metadata) { md.ReplyToMessageId = "" },
		"another run":         func(md *flwrpb.Metadata) { md.RunId = elsewhere.ID },
		"another source":      func(md *flwrpb.Metadata) { md.SrcNodeId = stranger.id },
		"to a node":           func(md *flwrpb.Metadata) { md.DstNodeId = stranger.id },
	} {
		reply := n.reply(m.Message.GetMetadata())
		change(reply.Message.Metadata)
		if got := n.push(reply); len(got.GetObjectsToPush()) != 0 || got.GetSessionId() == "" {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := stranger.push(n.reply(m.Message.GetMetadata())); len(got.GetObjectsToPush()) != 0 {
		t.Errorf("from another node: %v", got)
	}
	if got := n.push(n.reply(m.Message.GetMetadata())); len(got.GetObjectsToPush()) != 2 {
		t.Errorf("the true reply: %v", got)
	}
	if got := n.push(n.reply(m.Message.GetMetadata())); len(got.GetObjectsToPush()) != 0 {
		t.Errorf("a second reply: %v", got)
	}
}

// A broken reply is the only one that will come, so its ServerApp is told at once.
func TestRepliesThatAreBroken(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run := h.run(true)
	for name, spoil := range map[string]func(m *flwrtest.Letter){
		"content and error": func(m *flwrtest.Letter) { m.Message.Error = &flwrpb.Error{Code: 1} },
		"neither":           func(m *flwrtest.Letter) { m.Message.Content = nil },
		"no type":           func(m *flwrtest.Letter) { m.Message.Metadata.MessageType = "" },
		"no time":           func(m *flwrtest.Letter) { m.Message.Metadata.CreatedAt = math.NaN() },
		"no time to live":   func(m *flwrtest.Letter) { m.Message.Metadata.Ttl = math.NaN() },
		"another tree":      func(m *flwrtest.Letter) { m.Tree = m.Tree.GetChildren()[0] },
		"no id":             func(m *flwrtest.Letter) { m.Tree.Children[0].ObjectId = "x" },
	} {
		m := h.instruct(run.ID, n.id)
		reply := n.reply(m.Message.GetMetadata())
		spoil(&reply)
		if got := n.push(reply); len(got.GetObjectsToPush()) != 0 {
			t.Errorf("%s: %v", name, got)
		}
		if got := h.answer(m).Kind; got != state.InstructionUnknown {
			t.Errorf("%s: the ServerApp was told %v", name, got)
		}
	}
}

// Fields of a reply that are unknown today go through.
func TestUnknownFieldsOfAReplyArriveAtItsServerApp(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run := h.run(true)
	m := h.instruct(run.ID, n.id)
	reply := n.reply(m.Message.GetMetadata())
	reply.Message.ProtoReflect().SetUnknown([]byte{0xfa, 0x3e, 2, 'h', 'i'})
	n.push(reply)
	for id, content := range reply.Objects {
		n.pushObject(run.ID, id, content)
	}
	got := &flwrpb.Message{}
	must(t, proto.Unmarshal(h.answer(m).Reply.Proto, got))
	if !proto.Equal(got, reply.Message) {
		t.Errorf("it arrived as %v", got)
	}
}
