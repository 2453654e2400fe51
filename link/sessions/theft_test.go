package sessions

import (
	"bytes"
	"crypto/rand"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// secretOf has a run hold an object that nobody else has.
func (h *hub) secretOf(run state.Run) (id string, content []byte) {
	h.t.Helper()
	content = []byte("the weights of another run " + rand.Text())
	id = put(h.t, h.objects, content)
	must(h.t, h.store.RegisterObjects(h.t.Context(), run.ID, []string{id}))
	must(h.t, h.store.HoldObjects(h.t.Context(), run.ID, []string{id}))
	return id, content
}

// naming is a reply whose tree names a further object.
func (n *scripted) naming(instruction, id string) *sessionpb.Reply {
	n.t.Helper()
	reply := n.answerTo(instruction)
	var tree flwrpb.ObjectTree
	must(n.t, proto.Unmarshal(reply.Tree, &tree))
	tree.Children = append(tree.Children, &flwrpb.ObjectTree{ObjectId: id})
	reply.Tree = encode(n.t, &tree)
	return reply
}

// A node cannot get the object of another run, for its own run or for itself, by naming it.
func TestObjectOfAnotherRunNamedInAReply(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	mine, theirs := h.run(), h.run()
	secret, content := h.secretOf(theirs)
	instruction := h.instruct(mine.ID, n.id)
	n.accept(n.offered())

	n.reply(n.naming(instruction, secret))
	n.acked(instruction, true)
	if err := objects.Fetch(t.Context(), n.host, h.host.ID(), mine.ID, []string{secret}, n.objects, objects.FetchOptions{}); err == nil {
		t.Error("the node got the object after it had named it")
	}
	unheld, err := h.store.UnheldObjects(t.Context(), mine.ID, []string{secret})
	must(t, err)
	if len(unheld) != 1 {
		t.Error("the run got the object that its node had named")
	}
	if got := h.answer(mine.ID, instruction).Kind; got != state.NodeUnavailable && got != state.InstructionUnknown {
		t.Errorf("the ServerApp was told %v about the reply that was dropped", got)
	}

	// The same object from a node that has it is as good as any other.
	instruction = h.instruct(mine.ID, n.id)
	n.accept(n.offered())
	must(t, n.objects.Put(t.Context(), object.Sum(content), int64(len(content)), bytes.NewReader(content)))
	n.reply(n.naming(instruction, secret))
	n.acked(instruction, false)
	unheld, err = h.store.UnheldObjects(t.Context(), mine.ID, []string{secret})
	must(t, err)
	if len(unheld) != 0 {
		t.Error("the run lacks an object that came with its reply")
	}
}
