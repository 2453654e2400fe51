package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/exec/task"
	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/store"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

var clientApp = []string{task.TypeClientApp}

// fixture is a store on disk that can be closed and opened again.
type fixture struct {
	t       testing.TB
	dir     string
	objects *nodetest.Memory
	*store.Store
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
	s, err := store.Open(context.Background(), filepath.Join(f.dir, "node.db"), f.objects)
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

func offer(r *nodetest.Run, m nodetest.Message) store.Offer {
	return store.Offer{MessageID: m.ID, Message: m.Offer.GetMessage(), Tree: m.Offer.GetTree(), ObjectIDs: m.Objects,
		Run: store.Run{ID: r.ID, SeriesID: r.SeriesID, FABHash: r.FABHash, Proto: m.Offer.GetRun()}}
}

// accept takes a message in as intake does.
func (f *fixture) accept(r *nodetest.Run, m nodetest.Message) {
	f.t.Helper()
	if _, err := f.AddOffer(f.t.Context(), offer(r, m)); err != nil {
		f.t.Fatal(err)
	}
	nodetest.Put(f.t, f.objects, r.Objects, append(m.Objects, r.FABHash)...)
	if err := f.Accept(f.t.Context(), m.ID); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) claim(slots int) (task.Task, string) {
	f.t.Helper()
	t, token, ok, err := f.Claim(f.t.Context(), clientApp, slots)
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
	if t, _, ok, err := f.Claim(f.t.Context(), clientApp, slots); err != nil || ok {
		f.t.Fatalf("claimed %v, err %v: %s", t, err, why)
	}
}

// reply pushes a complete reply and returns it.
func (f *fixture) reply(t task.Task, m nodetest.Message, model string) nodetest.Message {
	f.t.Helper()
	blobs := make(nodetest.Blobs)
	r := m.Reply(f.t, blobs, model)
	f.must(f.Activate(f.t.Context(), t.ID))
	missing, err := f.PushReply(f.t.Context(), t, storeReply(f.t, m, r))
	f.must(err)
	nodetest.Put(f.t, f.objects, blobs, missing...)
	f.must(f.Pushed(f.t.Context(), m.ID, missing...))
	return r
}

func storeReply(t testing.TB, m, r nodetest.Message) store.Reply {
	t.Helper()
	msg, err := proto.Marshal(r.Proto)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := proto.Marshal(r.Tree)
	if err != nil {
		t.Fatal(err)
	}
	return store.Reply{MessageID: m.ID, ReplyID: r.ID, Message: msg, Tree: tree, ObjectIDs: r.Objects, Runtime: time.Second}
}

func (f *fixture) unsent() []store.Reply {
	f.t.Helper()
	replies, _, err := f.UnsentReplies(f.t.Context(), 0, 100)
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
		f.t.Fatalf("reply %v is no error", msg)
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

func TestWorkFromOfferToAck(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.accept(run, m)
	claimed, token := f.claim(1)
	if claimed.MessageID != m.ID || claimed.RunID != run.ID {
		t.Fatalf("claimed %+v", claimed)
	}
	if got, err := f.TaskByToken(t.Context(), token); err != nil || got.ID != claimed.ID {
		t.Fatalf("by token: %v, %v", got, err)
	}
	reply := f.reply(claimed, m, "result")
	if n := len(f.unsent()); n != 0 {
		t.Fatalf("%d replies are to be sent before the task has ended", n)
	}
	f.must(f.Finish(t.Context(), claimed, task.Completed, "", []byte("context")))

	replies := f.unsent()
	if len(replies) != 1 || replies[0].ReplyID != reply.ID || replies[0].Runtime != time.Second {
		t.Fatalf("unsent = %+v", replies)
	}
	if left, by, err := f.SeriesContext(t.Context(), run.SeriesID); err != nil || string(left) != "context" || by != run.ID {
		t.Fatalf("context = %q of run %d, %v", left, by, err)
	}
	if _, err := f.TaskByToken(t.Context(), token); !errors.Is(err, task.ErrUnknownToken) {
		t.Fatalf("token lives on: %v", err)
	}
	f.must(f.Ack(t.Context(), m.ID, "another"))
	if len(f.unsent()) != 1 {
		t.Fatal("an ack of another reply was taken")
	}
	f.must(f.Ack(t.Context(), m.ID, reply.ID))
	f.must(f.Ack(t.Context(), m.ID, reply.ID))
	if len(f.unsent()) != 0 {
		t.Fatal("an acknowledged reply is still to be sent")
	}
	f.must(f.Collect(t.Context()))
	if f.objects.Has(reply.ID) {
		t.Error("the object of an acknowledged reply stays")
	}
	if !f.objects.Has(m.Objects[0]) {
		t.Error("the model of the last message is gone; it may come again")
	}
}

func TestOfferTwice(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.accept(run, m)
	state, err := f.AddOffer(t.Context(), offer(run, m))
	f.must(err)
	if state != store.Queued {
		t.Fatalf("state = %s", state)
	}
	f.claim(2)
	f.claimNothing(2, "the message was queued twice")
}

func TestSlotsAndTurns(t *testing.T) {
	f := open(t)
	a, b := nodetest.NewRun(t, 1), nodetest.NewRun(t, 2)
	messages := map[string]nodetest.Message{}
	for i := range 3 {
		m := a.Instruction(t, i, "model")
		messages[m.ID] = m
		f.accept(a, m)
	}
	for i := range 2 {
		m := b.Instruction(t, i, "model")
		messages[m.ID] = m
		f.accept(b, m)
	}
	var order []uint64
	for range 5 {
		claimed, _ := f.claim(1)
		f.claimNothing(1, "the slot is taken")
		order = append(order, claimed.RunID)
		f.reply(claimed, messages[claimed.MessageID], "result")
		f.must(f.Finish(t.Context(), claimed, task.Completed, "", nil))
	}
	if diff := cmp.Diff([]uint64{1, 2, 1, 2, 1}, order); diff != "" {
		t.Errorf("runs do not take turns (-want +got):\n%s", diff)
	}
}

func TestOneSeriesOneAfterTheOther(t *testing.T) {
	f := open(t)
	a := nodetest.NewRunOf(t, 1, 77, "")
	b := nodetest.NewRunOf(t, 2, 77, "")
	c := nodetest.NewRunOf(t, 3, 78, "")
	for _, r := range []*nodetest.Run{a, b, c} {
		f.accept(r, r.Instruction(t, 1, "model"))
	}
	first, _ := f.claim(10)
	second, _ := f.claim(10)
	if first.RunID != 1 || second.RunID != 3 {
		t.Fatalf("claimed runs %d and %d", first.RunID, second.RunID)
	}
	f.claimNothing(10, "both series are being worked on")
}

// A ClientApp that knows the id of an object of another run on this node neither has it sent
// to its own ServerApp nor gets it.
func TestReplyNamesAnObjectOfAnotherRun(t *testing.T) {
	f, mine, theirs := open(t), nodetest.NewRun(t, 1), nodetest.NewRun(t, 2)
	secret := theirs.Instruction(t, 1, "the model of another run")
	f.accept(theirs, secret)
	m := mine.Instruction(t, 1, "model")
	f.accept(mine, m)
	var claimed task.Task
	for claimed.RunID != mine.ID {
		claimed, _ = f.claim(2)
	}
	blobs := make(nodetest.Blobs)
	r := m.Reply(t, blobs, "result")
	f.must(f.Activate(t.Context(), claimed.ID))
	stolen := secret.Objects[0]
	reply := storeReply(t, m, r)
	reply.ObjectIDs = append([]string{stolen}, reply.ObjectIDs...)
	missing, err := f.PushReply(t.Context(), claimed, reply)
	f.must(err)
	if !slices.Contains(missing, stolen) {
		t.Error("the object of another run need not be pushed")
	}
	rest := slices.DeleteFunc(slices.Clone(missing), func(id string) bool { return id == stolen })
	nodetest.Put(t, f.objects, blobs, rest...)
	f.must(f.Pushed(t.Context(), m.ID, rest...))
	if has, err := f.HasObject(t.Context(), mine.ID, stolen); has || err != nil {
		t.Errorf("the run has the object: %v, %v", has, err)
	}
	if err := f.Finish(t.Context(), claimed, task.Completed, "", nil); !errors.Is(err, store.ErrNoReply) {
		t.Errorf("finish: %v", err)
	}
	f.must(f.Pushed(t.Context(), m.ID, stolen)) // it has the bytes as well
	f.must(f.Finish(t.Context(), claimed, task.Completed, "", nil))
}

func TestFinishNeedsACompleteReply(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.accept(run, m)
	claimed, _ := f.claim(1)
	f.must(f.Activate(t.Context(), claimed.ID))
	if err := f.Finish(t.Context(), claimed, task.Completed, "", nil); !errors.Is(err, store.ErrNoReply) {
		t.Fatalf("finish without reply: %v", err)
	}
	blobs := make(nodetest.Blobs)
	r := m.Reply(t, blobs, "result")
	missing, err := f.PushReply(t.Context(), claimed, storeReply(t, m, r))
	f.must(err)
	if diff := cmp.Diff(r.Objects, missing); diff != "" {
		t.Fatalf("missing (-want +got):\n%s", diff)
	}
	nodetest.Put(t, f.objects, blobs, missing[1:]...)
	f.must(f.Pushed(t.Context(), m.ID, missing[1:]...))
	if err := f.Finish(t.Context(), claimed, task.Completed, "", nil); !errors.Is(err, store.ErrNoReply) {
		t.Fatalf("finish with half a reply: %v", err)
	}
	other := m.Reply(t, blobs, "another result")
	if _, err := f.PushReply(t.Context(), claimed, storeReply(t, m, other)); !errors.Is(err, store.ErrAnswered) {
		t.Fatalf("a second reply: %v", err)
	}
	again, err := f.PushReply(t.Context(), claimed, storeReply(t, m, r))
	f.must(err)
	if diff := cmp.Diff(missing[:1], again); diff != "" {
		t.Fatalf("missing after half (-want +got):\n%s", diff)
	}
	f.must(f.Fail(t.Context(), claimed.ID, "gone"))
	msg := f.onlyError()
	if msg.GetError().GetCode() != 8 || msg.GetMetadata().GetReplyToMessageId() != m.ID {
		t.Errorf("error reply = %v", msg)
	}
	if err := f.Finish(t.Context(), claimed, task.Completed, "", nil); err == nil {
		t.Error("finished after it failed")
	}
	f.must(f.Collect(t.Context()))
	if f.objects.Has(missing[1]) {
		t.Error("an object of the dropped reply stays")
	}
}

func TestReject(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	_, err := f.AddOffer(t.Context(), offer(run, m))
	f.must(err)
	f.must(f.Reject(t.Context(), m.ID, 7, "no trust \xff"))
	msg := f.onlyError()
	meta := msg.GetMetadata()
	if msg.GetError().GetCode() != 7 || meta.GetSrcNodeId() != nodetest.NodeID || meta.GetDstNodeId() != 1 ||
		meta.GetGroupId() != "1" || meta.GetMessageType() != "train" {
		t.Errorf("error reply = %v", msg)
	}
	end := m.Proto.GetMetadata().GetCreatedAt() + m.Proto.GetMetadata().GetTtl()
	if got := meta.GetCreatedAt() + meta.GetTtl(); got > end+0.1 {
		t.Errorf("the reply lives until %f, its instruction until %f", got, end)
	}
	f.claimNothing(1, "the message was rejected")
}

func TestDropRun(t *testing.T) {
	f, run, other := open(t), nodetest.NewRun(t, 7), nodetest.NewRun(t, 8)
	m1, m2 := run.Instruction(t, 1, "model"), run.Instruction(t, 2, "model")
	kept := other.Instruction(t, 1, "model")
	f.accept(run, m1)
	f.accept(run, m2)
	claimed, token := f.claim(1)
	f.accept(other, kept)
	watch := f.Bell().Watch(store.KeyTask(claimed.ID))
	defer watch.Close()

	dropped, err := f.DropRun(t.Context(), run.ID)
	f.must(err)
	if dropped != 2 {
		t.Errorf("dropped %d messages, want 2", dropped)
	}
	select {
	case <-watch.C:
	default:
		t.Error("who waits for the end of the task was not woken")
	}
	if _, err := f.TaskByToken(t.Context(), token); !errors.Is(err, task.ErrUnknownToken) {
		t.Errorf("token of a dropped run: %v", err)
	}
	f.must(f.Collect(t.Context()))
	if f.objects.Has(m1.ID) || f.objects.Has(run.FABHash) {
		t.Error("objects of the dropped run stay")
	}
	if !f.objects.Has(kept.Objects[0]) || !f.objects.Has(other.FABHash) {
		t.Error("objects of another run are gone")
	}
	next, _ := f.claim(1)
	if next.RunID != other.ID {
		t.Errorf("the slot went to run %d", next.RunID)
	}
	if _, err := f.DropRun(t.Context(), run.ID); err != nil {
		t.Errorf("dropping it again: %v", err)
	}
}

func TestExpire(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.accept(run, m)
	first, _ := f.claim(1)
	next, err := f.Expire(t.Context(), time.Now())
	f.must(err)
	if next.IsZero() || next.After(time.Now().Add(task.ClaimLimit)) {
		t.Fatalf("next deadline = %s", next)
	}
	// Nobody came for it: another process may.
	_, err = f.Expire(t.Context(), next)
	f.must(err)
	second, _ := f.claim(1)
	if second.ID == first.ID || second.MessageID != m.ID {
		t.Fatalf("claimed %+v after %+v", second, first)
	}
	// Its process went silent: that is an answer.
	f.must(f.Activate(t.Context(), second.ID))
	next, err = f.Expire(t.Context(), time.Now().Add(2*task.HeartbeatLimit))
	f.must(err)
	if !next.IsZero() {
		t.Errorf("next deadline = %s", next)
	}
	if msg := f.onlyError(); msg.GetError().GetCode() != 8 {
		t.Errorf("error reply = %v", msg)
	}
}

func TestRelease(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	f.accept(run, run.Instruction(t, 1, "model"))
	first, token := f.claim(1)
	f.must(f.Release(t.Context(), first.ID))
	if _, err := f.TaskByToken(t.Context(), token); !errors.Is(err, task.ErrUnknownToken) {
		t.Errorf("token of a released claim: %v", err)
	}
	second, _ := f.claim(1)
	f.must(f.Activate(t.Context(), second.ID))
	if err := f.Release(t.Context(), second.ID); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("released a running task: %v", err)
	}
}

func TestLostWithTheNodeIsDoneAgain(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.accept(run, m)
	first, _ := f.claim(1)
	f.reply(first, m, "half done")

	f.reopen()
	f.must(f.Lost(t.Context(), first.ID, "gone"))
	if n := len(f.unsent()); n != 0 {
		t.Fatalf("%d answers to interrupted work", n)
	}
	second, _ := f.claim(1)
	f.must(f.Lost(t.Context(), second.ID, "gone by itself"))
	f.onlyError()
}

func TestAliveAfterRestart(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.accept(run, m)
	claimed, token := f.claim(1)
	f.must(f.Activate(t.Context(), claimed.ID))

	f.reopen()
	if _, err := f.TaskByToken(t.Context(), token); err != nil {
		t.Fatalf("token after the restart: %v", err)
	}
	if alive, err := f.Heartbeat(t.Context(), claimed.ID); err != nil || !alive {
		t.Fatalf("heartbeat = %v, %v", alive, err)
	}
	f.claimNothing(1, "its app is alive")
	f.must(f.Lost(t.Context(), claimed.ID, "gone"))
	f.onlyError()
}

func TestGivesUpInTheEnd(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	f.accept(run, run.Instruction(t, 1, "model"))
	for range store.MaxAttempts {
		f.claim(1)
		_, err := f.Expire(t.Context(), time.Now().Add(2*task.ClaimLimit))
		f.must(err)
	}
	f.claimNothing(1, "it was tried often enough")
	f.onlyError()
}

func TestIdentity(t *testing.T) {
	f := open(t)
	_, err := f.UpdateIdentity(t.Context(), func(id *store.Identity) { id.NodeID, id.RuntimePort = 1<<63+5, 9094 })
	f.must(err)
	f.reopen()
	id, err := f.Identity(t.Context())
	f.must(err)
	if id.NodeID != 1<<63+5 || id.RuntimePort != 9094 {
		t.Errorf("identity = %+v", id)
	}
}

func TestRunConfig(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	f.must(f.AnnounceRun(t.Context(), store.Run{ID: run.ID, SeriesID: run.SeriesID, FABHash: run.FABHash}))
	if r, err := f.Run(t.Context(), run.ID); err != nil || r.Config != nil {
		t.Fatalf("run = %+v, %v", r, err)
	}
	f.must(f.SetRunConfig(t.Context(), run.ID, nil))
	if r, err := f.Run(t.Context(), run.ID); err != nil || r.Config == nil {
		t.Fatalf("an empty configuration is a missing one: %+v, %v", r, err)
	}
	if _, err := f.Run(t.Context(), 8); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown run: %v", err)
	}
}
