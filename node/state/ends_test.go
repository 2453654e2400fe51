package state_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestRefuse(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	_, err := f.TakeIn(t.Context(), offer(run, m))
	f.must(err)
	f.must(f.Refuse(t.Context(), m.ID, 7, "no trust \xff"))
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

func TestErrorWithoutAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where it is the year 2000, as on a board that has just started
		f, run := open(t), nodetest.NewRun(t, 7)
		m := run.Instruction(t, 1, "model")
		_, err := f.TakeIn(t.Context(), offer(run, m))
		f.must(err)
		f.must(f.Refuse(t.Context(), m.ID, 7, "no trust"))
		r := f.unsent()[0]
		asked, err := message.Peek(m.Offer.GetMessage())
		f.must(err)
		if _, err := message.ParseReply(r.Message, r.Tree, message.Answered{Instruction: asked, Node: nodetest.NodeID}); err != nil {
			t.Errorf("the link would refuse it: %v", err)
		}
	})
}

func TestDropRun(t *testing.T) {
	f, run, other := open(t), nodetest.NewRun(t, 7), nodetest.NewRun(t, 8)
	m1, m2 := run.Instruction(t, 1, "model"), run.Instruction(t, 2, "model")
	kept := other.Instruction(t, 1, "model")
	f.accept(run, m1)
	f.accept(run, m2)
	claimed, token := f.claim(1)
	f.accept(other, kept)
	watch := f.Bell().Watch(state.KeyTask(claimed.ID))
	defer watch.Close()

	dropped, err := f.DropRun(t.Context(), run.ID)
	f.must(err)
	if dropped != 2 {
		t.Errorf("dropped %d messages, want 2", dropped)
	}
	select {
	case <-watch.C:
	default:
		t.Error("the waiter for the end of the task was not woken")
	}
	if _, err := f.TaskByToken(t.Context(), token); !errors.Is(err, task.ErrUnknownToken) {
		t.Errorf("token of a dropped run: %v", err)
	}
	f.must(f.Collect(t.Context()))
	if f.objects.Has(m1.ID) || f.objects.Has(run.FABHash) {
		t.Error("objects of the dropped run remain")
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
	// Nobody came for it, so another process may.
	_, err = f.Expire(t.Context(), next)
	f.must(err)
	second, _ := f.claim(1)
	if second.ID == first.ID || second.MessageID != m.ID {
		t.Fatalf("claimed %+v after %+v", second, first)
	}
	// Its process went silent, and that is answered.
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
	f.must(f.Unlease(t.Context(), first.ID))
	if _, err := f.TaskByToken(t.Context(), token); !errors.Is(err, task.ErrUnknownToken) {
		t.Errorf("token of a released claim: %v", err)
	}
	second, _ := f.claim(1)
	f.must(f.Activate(t.Context(), second.ID))
	if err := f.Unlease(t.Context(), second.ID); !errors.Is(err, task.ErrNotFound) {
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
	for range state.MaxAttempts {
		f.claim(1)
		_, err := f.Expire(t.Context(), time.Now().Add(2*task.ClaimLimit))
		f.must(err)
	}
	f.claimNothing(1, "it was tried often enough")
	f.onlyError()
}
