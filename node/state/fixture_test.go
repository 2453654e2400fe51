package state_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

var clientApp = []string{task.TypeClientApp}

// policy is the fingerprint of a policy that allows every app that is accepted here.
const policy = "policy of the test"

// fixture is a store on disk that can be closed and opened again.
type fixture struct {
	t       testing.TB
	dir     string
	objects *nodetest.Memory
	*state.Store
}

func open(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir(), objects: nodetest.NewMemory()}
	f.reopen()
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func (f *fixture) reopen() {
	f.t.Helper()
	if f.Store != nil {
		if err := f.Close(); err != nil {
			f.t.Fatal(err)
		}
	}
	s, err := state.Open(context.Background(), filepath.Join(f.dir, "node.db"), f.objects)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Store = s
}

// kill opens the state as it is on disk at this moment, as if the process had died.
func (f *fixture) kill() {
	f.t.Helper()
	next := f.t.TempDir()
	for _, name := range []string{"node.db", "node.db-wal"} {
		content, err := os.ReadFile(filepath.Join(f.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		f.must(err)
		f.must(os.WriteFile(filepath.Join(next, name), content, 0o600))
	}
	f.must(f.Close())
	f.dir, f.Store = next, nil
	f.reopen()
}

func offer(r *nodetest.Run, m nodetest.Message) state.Offer {
	return state.Offer{MessageID: m.ID, Message: m.Offer.GetMessage(), Tree: m.Offer.GetTree(), ObjectIDs: m.Objects,
		Run: state.Run{ID: r.ID, SeriesID: r.SeriesID, FABHash: r.FABHash, Proto: m.Offer.GetRun()}}
}

// accept takes in a message as the intake does.
func (f *fixture) accept(r *nodetest.Run, m nodetest.Message) {
	f.t.Helper()
	if _, err := f.TakeIn(f.t.Context(), offer(r, m)); err != nil {
		f.t.Fatal(err)
	}
	nodetest.Put(f.t, f.objects, r.Objects, append(m.Objects, r.FABHash)...)
	f.allow(r)
	if err := f.MarkComplete(f.t.Context(), m.ID); err != nil {
		f.t.Fatal(err)
	}
}

// allow has the policy allow the app of a run.
func (f *fixture) allow(r *nodetest.Run) {
	f.t.Helper()
	_, err := f.Decide(f.t.Context(), state.Decision{RunID: r.ID, FABHash: r.FABHash, Policy: policy, Allowed: true, Rule: "test"})
	f.must(err)
}

func (f *fixture) claim(slots int) (task.Task, string) {
	f.t.Helper()
	t, token, ok, err := f.Lease(f.t.Context(), clientApp, slots, policy)
	if err != nil {
		f.t.Fatal(err)
	}
	if !ok {
		f.t.Fatal("nothing to claim")
	}
	return t, token
}

func (f *fixture) claimNothing(slots int, why string) {
	f.t.Helper()
	if t, _, ok, err := f.Lease(f.t.Context(), clientApp, slots, policy); err != nil || ok {
		f.t.Fatalf("claimed %v, err %v: %s", t, err, why)
	}
}

// reply pushes a complete reply and returns it.
func (f *fixture) reply(t task.Task, m nodetest.Message, model string) nodetest.Message {
	f.t.Helper()
	blobs := make(nodetest.Blobs)
	r := m.Reply(f.t, blobs, model)
	f.must(f.Activate(f.t.Context(), t.ID))
	missing, err := f.InsertReply(f.t.Context(), t, storeReply(f.t, m, r))
	f.must(err)
	nodetest.Put(f.t, f.objects, blobs, missing...)
	f.must(f.HoldObjects(f.t.Context(), m.ID, missing...))
	return r
}

func storeReply(t testing.TB, m, r nodetest.Message) state.Reply {
	t.Helper()
	msg, err := proto.Marshal(r.Proto)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := proto.Marshal(r.Tree)
	if err != nil {
		t.Fatal(err)
	}
	return state.Reply{MessageID: m.ID, ReplyID: r.ID, Message: msg, Tree: tree, ObjectIDs: r.Objects, Runtime: time.Second}
}

func (f *fixture) unsent() []state.Reply {
	f.t.Helper()
	replies, _, err := f.UnconfirmedReplies(f.t.Context(), 0, 100)
	f.must(err)
	return replies
}

// onlyError checks that there is one unsent answer, an error, and returns it.
func (f *fixture) onlyError() *flwrpb.Message {
	f.t.Helper()
	replies := f.unsent()
	if len(replies) != 1 {
		f.t.Fatalf("%d unsent replies, want 1", len(replies))
	}
	msg := new(flwrpb.Message)
	f.must(proto.Unmarshal(replies[0].Message, msg))
	if msg.GetError() == nil || msg.Content != nil {
		f.t.Fatalf("reply %v is not an error", msg)
	}
	if !f.objects.Has(replies[0].ReplyID) {
		f.t.Fatal("the object of the error reply is not on disk")
	}
	return msg
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}
