package state_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

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
		t.Fatalf("%d replies are due to be sent although the task has not ended", n)
	}
	f.must(f.Answer(t.Context(), claimed, task.Completed, "", []byte("context")))

	replies := f.unsent()
	if len(replies) != 1 || replies[0].ReplyID != reply.ID || replies[0].Runtime != time.Second {
		t.Fatalf("unsent = %+v", replies)
	}
	if left, by, err := f.SeriesContext(t.Context(), run.SeriesID); err != nil || string(left) != "context" || by != run.ID {
		t.Fatalf("context = %q of run %d, %v", left, by, err)
	}
	if _, err := f.TaskByToken(t.Context(), token); !errors.Is(err, task.ErrUnknownToken) {
		t.Fatalf("the token outlives its task: %v", err)
	}
	f.must(f.Confirm(t.Context(), m.ID, "another"))
	if len(f.unsent()) != 1 {
		t.Fatal("an ack of another reply was accepted")
	}
	f.must(f.Confirm(t.Context(), m.ID, reply.ID))
	f.must(f.Confirm(t.Context(), m.ID, reply.ID))
	if len(f.unsent()) != 0 {
		t.Fatal("an acknowledged reply is still to be sent")
	}
	f.must(f.Collect(t.Context()))
	if f.objects.Has(reply.ID) {
		t.Error("the object of an acknowledged reply remains")
	}
	if !f.objects.Has(m.Objects[0]) {
		t.Error("the model of the last message is gone; it may come again")
	}
}

func TestOfferTwice(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.accept(run, m)
	got, err := f.TakeIn(t.Context(), offer(run, m))
	f.must(err)
	if got != state.Waiting {
		t.Fatalf("state = %s", got)
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
		f.must(f.Answer(t.Context(), claimed, task.Completed, "", nil))
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

// A ClientApp that knows the id of an object of another run on this node can neither have it sent
// to its own ServerApp nor get it itself.
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
	missing, err := f.InsertReply(t.Context(), claimed, reply)
	f.must(err)
	if !slices.Contains(missing, stolen) {
		t.Error("the object of another run need not be pushed")
	}
	rest := slices.DeleteFunc(slices.Clone(missing), func(id string) bool { return id == stolen })
	nodetest.Put(t, f.objects, blobs, rest...)
	f.must(f.HoldObjects(t.Context(), m.ID, rest...))
	if has, err := f.HasObject(t.Context(), mine.ID, stolen); has || err != nil {
		t.Errorf("the run has the object: %v, %v", has, err)
	}
	if err := f.Answer(t.Context(), claimed, task.Completed, "", nil); !errors.Is(err, state.ErrNoReply) {
		t.Errorf("finish: %v", err)
	}
	f.must(f.HoldObjects(t.Context(), m.ID, stolen)) // it has the bytes as well
	f.must(f.Answer(t.Context(), claimed, task.Completed, "", nil))
}

func TestFinishNeedsACompleteReply(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.accept(run, m)
	claimed, _ := f.claim(1)
	f.must(f.Activate(t.Context(), claimed.ID))
	if err := f.Answer(t.Context(), claimed, task.Completed, "", nil); !errors.Is(err, state.ErrNoReply) {
		t.Fatalf("finish without reply: %v", err)
	}
	blobs := make(nodetest.Blobs)
	r := m.Reply(t, blobs, "result")
	missing, err := f.InsertReply(t.Context(), claimed, storeReply(t, m, r))
	f.must(err)
	if diff := cmp.Diff(r.Objects, missing); diff != "" {
		t.Fatalf("missing (-want +got):\n%s", diff)
	}
	nodetest.Put(t, f.objects, blobs, missing[1:]...)
	f.must(f.HoldObjects(t.Context(), m.ID, missing[1:]...))
	if err := f.Answer(t.Context(), claimed, task.Completed, "", nil); !errors.Is(err, state.ErrNoReply) {
		t.Fatalf("finish with half a reply: %v", err)
	}
	other := m.Reply(t, blobs, "another result")
	if _, err := f.InsertReply(t.Context(), claimed, storeReply(t, m, other)); !errors.Is(err, state.ErrAnswered) {
		t.Fatalf("a second reply: %v", err)
	}
	again, err := f.InsertReply(t.Context(), claimed, storeReply(t, m, r))
	f.must(err)
	if diff := cmp.Diff(missing[:1], again); diff != "" {
		t.Fatalf("missing after half (-want +got):\n%s", diff)
	}
	f.must(f.AnswerWithError(t.Context(), claimed.ID, "gone"))
	msg := f.onlyError()
	if msg.GetError().GetCode() != 8 || msg.GetMetadata().GetReplyToMessageId() != m.ID {
		t.Errorf("error reply = %v", msg)
	}
	if err := f.Answer(t.Context(), claimed, task.Completed, "", nil); err == nil {
		t.Error("finished after it failed")
	}
	f.must(f.Collect(t.Context()))
	if f.objects.Has(missing[1]) {
		t.Error("an object of the dropped reply remains")
	}
}

func TestIdentity(t *testing.T) {
	f := open(t)
	_, err := f.UpdateIdentity(t.Context(), func(id *state.Identity) { id.NodeID, id.RuntimePort = 1<<63+5, 9094 })
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
	f.must(f.AnnounceRun(t.Context(), state.Run{ID: run.ID, SeriesID: run.SeriesID, FABHash: run.FABHash}))
	if r, err := f.Run(t.Context(), run.ID); err != nil || r.Config != nil {
		t.Fatalf("run = %+v, %v", r, err)
	}
	f.must(f.SetRunConfig(t.Context(), run.ID, nil))
	if r, err := f.Run(t.Context(), run.ID); err != nil || r.Config == nil {
		t.Fatalf("an empty configuration counts as missing: %+v, %v", r, err)
	}
	if _, err := f.Run(t.Context(), 8); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("unknown run: %v", err)
	}
}
