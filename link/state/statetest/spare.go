package statetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// treeOf is the tree of a message with these objects, the root first.
func treeOf(t testing.TB, root string, children ...string) []byte {
	t.Helper()
	tree := &flwrpb.ObjectTree{ObjectId: root}
	for _, id := range children {
		tree.Children = append(tree.Children, &flwrpb.ObjectTree{ObjectId: id})
	}
	packed, err := proto.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// The objects that a run's messages consist of are not spare; the rest are, in the order of their
// use, and go unless they are registered again.
func testSpareObjects(t *testing.T, e *env) {
	run, elsewhere, node := e.runningRun(), e.runningRun(), e.onlineNode("a")
	asked, model, answered, update, shared := objectID("asked"), objectID("model"), objectID("answered"), objectID("update"), objectID("shared")
	register := func(run uint64, ids ...string) {
		t.Helper()
		e.ok(e.RegisterObjects(e.ctx, run, ids))
		e.ok(e.HoldObjects(e.ctx, run, ids))
		e.pass(time.Second)
	}
	spare := func(before time.Time, want ...string) {
		t.Helper()
		got, err := e.SpareObjects(e.ctx, run.ID, before)
		if e.ok(err); !slices.Equal(got, want) {
			t.Errorf("spare: %.8s, want %.8s", got, want)
		}
	}
	register(elsewhere.ID, shared)
	register(run.ID, shared)
	register(run.ID, model)
	register(run.ID, asked)
	instruction := e.instruction("i", run.ID, node.ID)
	instruction.Tree = treeOf(t, asked, model)
	e.insert(instruction)
	register(run.ID, update, answered)
	reply := e.reply("r", instruction)
	reply.Tree = treeOf(t, answered, update)
	e.ok(e.InsertReply(e.ctx, reply, time.Second))
	spare(e.now(), shared)

	e.ok(e.ConfirmReply(e.ctx, run.ID, "r"))
	register(run.ID, model) // for evaluation
	e.reopen()
	answer := []string{answered, update} // used at the same time: in any order
	slices.Sort(answer)
	spare(e.now(), append(append([]string{shared, asked}, answer...), model)...)
	before := e.now().Add(-time.Second) // the moment of the model's last use
	spare(before, append([]string{shared, asked}, answer...)...)

	register(run.ID, update) // after the look
	var gone []string
	remove := func(id string) error { gone = append(gone, id); return nil }
	e.ok(e.ReleaseSpareObjects(e.ctx, run.ID, before, []string{shared, asked, answered, update, objectID("unknown")}, remove))
	want := []string{asked, answered}
	slices.Sort(want)
	if slices.Sort(gone); !slices.Equal(gone, want) {
		t.Errorf("removed: %.8s, want %.8s", gone, want)
	}
	spare(e.now(), model, update)
	unheld, err := e.UnheldObjects(e.ctx, run.ID, []string{shared, asked, model})
	if e.ok(err); !slices.Equal(unheld, []string{shared, asked}) {
		t.Errorf("no longer held: %.8s", unheld)
	}

	errBusy := errors.New("busy")
	e.want("busy", e.ReleaseSpareObjects(e.ctx, run.ID, e.now(), []string{model}, func(string) error { return errBusy }), errBusy)
	spare(e.now(), model, update)
	e.ok(e.FinishRun(e.ctx, run.ID, task.Stopped, ""))
	_, err = e.SpareObjects(e.ctx, run.ID, e.now())
	e.want("finished", err, state.ErrRunFinished)
	e.want("finished", e.ReleaseSpareObjects(e.ctx, run.ID, e.now(), []string{model}, remove), state.ErrRunFinished)
	_, err = e.SpareObjects(e.ctx, 7, e.now())
	e.want("unknown", err, state.ErrNotFound)
}

// A message whose tree cannot be read keeps everything where it is.
func testSpareObjectsOfUnreadable(t *testing.T, e *env) {
	run, node := e.runningRun(), e.onlineNode("a")
	e.ok(e.RegisterObjects(e.ctx, run.ID, []string{objectID("x")}))
	e.pass(time.Second)
	m := e.instruction("i", run.ID, node.ID)
	m.Tree = []byte("no tree at all")
	e.insert(m)
	if spare, err := e.SpareObjects(e.ctx, run.ID, e.now()); err == nil {
		t.Errorf("spare: %v", spare)
	}
}
