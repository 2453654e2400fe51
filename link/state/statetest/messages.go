package statetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func testInstructionRules(t *testing.T, e *env) {
	run, finished := e.runningRun(), e.runningRun()
	e.ok(e.FinishRun(e.ctx, finished.ID, task.Stopped, ""))
	on, off, gone := e.onlineNode("on"), e.onlineNode("off"), e.onlineNode("gone")
	e.ok(e.DeactivateNode(e.ctx, off.ID))
	e.ok(e.UnregisterNode(e.ctx, gone.ID))
	fresh, err := e.RegisterNode(e.ctx, state.Node{PublicKey: []byte("fresh")})
	e.ok(err)
	expired := e.instruction("expired", run.ID, on.ID)
	expired.CreatedAt -= 600
	for _, c := range []struct {
		m    state.Message
		want error
	}{
		{e.instruction("on", run.ID, on.ID), nil},
		{e.instruction("on", run.ID, on.ID), nil}, // again
		{e.instruction("off", run.ID, off.ID), nil},
		{e.instruction("gone", run.ID, gone.ID), state.ErrNotFound},
		{e.instruction("fresh", run.ID, fresh.ID), state.ErrNotFound},
		{e.instruction("nobody", run.ID, 7), state.ErrNotFound},
		{e.instruction("no run", 7, on.ID), state.ErrNotFound},
		{e.instruction("finished", finished.ID, on.ID), state.ErrRunFinished},
		{expired, state.ErrNotAllowed},
	} {
		refused, err := e.InsertInstructions(e.ctx, []state.Message{c.m})
		if err != nil || len(refused) != 1 {
			t.Fatal(refused, err)
		}
		e.want(c.m.ID, refused[0], c.want)
	}
	// In one batch, the good ones are stored and the others are not.
	refused, err := e.InsertInstructions(e.ctx, []state.Message{
		e.instruction("x", run.ID, 7), e.instruction("y", run.ID, on.ID), e.instruction("z", finished.ID, on.ID)})
	e.ok(err)
	e.want("x", refused[0], state.ErrNotFound)
	e.want("y", refused[1], nil)
	e.want("z", refused[2], state.ErrRunFinished)
	msgs, err := e.UnansweredInstructions(e.ctx, on.ID)
	e.wantIDs("stored for the node", msgs, err, "on", "y")
}

func testInstructionLife(t *testing.T, e *env) {
	run, node := e.runningRun(), e.onlineNode("a")
	i := e.instruction("i", run.ID, node.ID)
	i.State = state.Gathering
	e.silent("an incomplete instruction", func() { e.insert(i) }, state.KeyNode(node.ID))
	gathering, err := e.GatheringMessages(e.ctx)
	e.wantIDs("gathering", gathering, err, "i")
	msgs, err := e.LeaseInstructions(e.ctx, node.ID, 10, time.Time{})
	e.wantIDs("leased while incomplete", msgs, err)
	e.rings("MarkComplete", func() { e.ok(e.MarkComplete(e.ctx, []string{"i", "unknown"})) }, state.KeyNode(node.ID))
	e.silent("MarkComplete again", func() { e.ok(e.MarkComplete(e.ctx, []string{"i"})) }, state.KeyNode(node.ID))
	e.reopen()
	msgs, err = e.LeaseInstructions(e.ctx, node.ID, 10, e.now().Add(time.Minute))
	e.wantIDs("leased", msgs, err, "i")
	i.State = state.Leased
	if got := msgs[0]; got.ID != i.ID || got.RunID != i.RunID || got.NodeID != i.NodeID || got.State != i.State ||
		!bytes.Equal(got.Proto, i.Proto) || !bytes.Equal(got.Tree, i.Tree) || got.CreatedAt != i.CreatedAt || got.TTL != i.TTL {
		t.Errorf("leased: %+v, want %+v", got, i)
	}
	msgs, err = e.LeasedInstructions(e.ctx, node.ID)
	e.wantIDs("what is leased", msgs, err, "i")
	stranger := e.onlineNode("stranger")
	e.ok(e.MarkDelivered(e.ctx, stranger.ID, []string{"i"}))
	msgs, err = e.LeasedInstructions(e.ctx, node.ID)
	e.wantIDs("what is leased, after another node claimed to have it", msgs, err, "i")
	e.ok(e.MarkDelivered(e.ctx, node.ID, []string{"i"}))
	msgs, err = e.LeasedInstructions(e.ctx, node.ID)
	e.wantIDs("leased after delivery", msgs, err)
	got, err := e.Message(e.ctx, "i")
	if e.ok(err); got.State != state.Delivered {
		t.Errorf("state %s, want delivered", got.State)
	}
	msgs, err = e.UnansweredInstructions(e.ctx, node.ID)
	e.wantIDs("unanswered", msgs, err, "i")
	owed, err := e.UnansweredByNode(e.ctx, run.ID)
	if e.ok(err); len(owed) != 1 || owed[node.ID] != 1 {
		t.Errorf("owed: %v", owed)
	}
	e.ok(e.InsertReply(e.ctx, e.reply("r", i), 3*time.Second))
	msgs, err = e.UnansweredInstructions(e.ctx, node.ID)
	e.wantIDs("unanswered after the reply", msgs, err)
	if owed, err = e.UnansweredByNode(e.ctx, run.ID); err != nil || len(owed) != 0 {
		t.Errorf("owed after the reply: %v, %v", owed, err)
	}
	if r, err := e.Run(e.ctx, run.ID); err != nil || r.ClientAppRuntime != 3*time.Second {
		t.Errorf("run time of ClientApps: %v, %v", r.ClientAppRuntime, err)
	}
	_, err = e.Message(e.ctx, "unknown")
	e.want("Message", err, state.ErrNotFound)
}

func testLeases(_ *testing.T, e *env) {
	run, a, b := e.runningRun(), e.onlineNode("a"), e.onlineNode("b")
	e.insert(e.instruction("1", run.ID, a.ID), e.instruction("2", run.ID, b.ID), e.instruction("3", run.ID, a.ID), e.instruction("4", run.ID, a.ID))
	msgs, err := e.LeaseInstructions(e.ctx, a.ID, 0, time.Time{})
	e.wantIDs("a limit of none", msgs, err)
	msgs, err = e.LeaseInstructions(e.ctx, a.ID, 2, e.now().Add(10*time.Second))
	e.wantIDs("oldest first", msgs, err, "1", "3")
	msgs, err = e.LeaseInstructions(e.ctx, a.ID, 2, time.Time{})
	e.wantIDs("the rest", msgs, err, "4")
	msgs, err = e.LeaseInstructions(e.ctx, a.ID, 2, time.Time{})
	e.wantIDs("nothing is leased twice", msgs, err)
	e.ok(e.ExtendLeases(e.ctx, a.ID, e.now().Add(20*time.Second)))
	e.silent("an extended lease", func() { e.pass(15 * time.Second) }, state.KeyNode(a.ID))
	e.ok(e.MarkDelivered(e.ctx, a.ID, []string{"3"}))
	e.rings("the end of a lease", func() { e.pass(5 * time.Second) }, state.KeyNode(a.ID))
	e.ok(e.MarkDelivered(e.ctx, a.ID, []string{"4"})) // a late confirmation
	msgs, err = e.LeaseInstructions(e.ctx, a.ID, 9, time.Time{})
	e.wantIDs("leased again", msgs, err, "1")
	msgs, err = e.LeaseInstructions(e.ctx, b.ID, 9, time.Time{})
	e.wantIDs("the other node's", msgs, err, "2")
}

func testUnlease(t *testing.T, e *env) {
	run, node := e.runningRun(), e.onlineNode("a")
	leased, delivered, answered, half, waiting := e.instruction("leased", run.ID, node.ID), e.instruction("delivered", run.ID, node.ID),
		e.instruction("answered", run.ID, node.ID), e.instruction("half", run.ID, node.ID), e.instruction("waiting", run.ID, node.ID)
	e.insert(leased, delivered, answered, half)
	_, err := e.LeaseInstructions(e.ctx, node.ID, 9, time.Time{})
	e.ok(err)
	e.insert(waiting)
	e.ok(e.MarkDelivered(e.ctx, node.ID, []string{"delivered", "answered", "half"}))
	e.ok(e.InsertReply(e.ctx, e.reply("ra", answered), 0))
	lost := e.reply("lost", half)
	lost.State = state.Gathering
	e.ok(e.InsertReply(e.ctx, lost, 0))
	all := []string{"leased", "delivered", "answered", "half", "waiting", "unknown"}
	e.rings("Unlease", func() { e.ok(e.Unlease(e.ctx, all)) }, state.KeyNode(node.ID))
	msgs, err := e.LeaseInstructions(e.ctx, node.ID, 9, time.Time{})
	e.wantIDs("to be offered again", msgs, err, "leased", "delivered", "half", "waiting")
	e.ok(e.InsertReply(e.ctx, e.reply("anew", half), 0))
	if got := e.answer(run.ID, "half"); got.Reply.ID != "anew" {
		t.Errorf("the answer is %+v, want the new reply", got)
	}
}

func testReplies(t *testing.T, e *env) {
	run, elsewhere := e.runningRun(), e.runningRun()
	node, stranger := e.onlineNode("a"), e.onlineNode("b")
	i := e.instruction("i", run.ID, node.ID)
	e.insert(i)
	for what, change := range map[string]func(*state.Message){
		"of another node":            func(m *state.Message) { m.NodeID = stranger.ID },
		"of another run":             func(m *state.Message) { m.RunID = elsewhere.ID },
		"to an unknown instruction":  func(m *state.Message) { m.ReplyTo = "unknown" },
		"to nothing":                 func(m *state.Message) { m.ReplyTo = "" },
		"to a reply, not to a query": func(m *state.Message) { m.ReplyTo = "r" },
	} {
		m := e.reply("r", i)
		change(&m)
		e.want("a reply "+what, e.InsertReply(e.ctx, m, 0), state.ErrNotFound)
	}
	r := e.reply("r", i)
	r.State = state.Gathering
	e.silent("an incomplete reply", func() { e.ok(e.InsertReply(e.ctx, r, time.Second)) }, state.KeyReplies(run.ID))
	gathering, err := e.GatheringMessages(e.ctx)
	e.wantIDs("gathering", gathering, err, "r")
	if got := gathering[0]; got.ReplyTo != "i" || got.NodeID != node.ID || got.State != state.Gathering || !bytes.Equal(got.Tree, r.Tree) {
		t.Errorf("gathering: %+v", got)
	}
	e.wantKind(run.ID, "i", state.NoAnswerYet)
	e.want("a second reply", e.InsertReply(e.ctx, e.reply("r2", i), 0), state.ErrNotAllowed)
	e.ok(e.InsertReply(e.ctx, r, time.Second))
	e.rings("MarkComplete", func() { e.ok(e.MarkComplete(e.ctx, []string{"r"})) }, state.KeyReplies(run.ID))
	e.wantKind(run.ID, "i", state.Replied)
	e.ok(e.InsertReply(e.ctx, e.reply("r", i), time.Second))
	e.want("a second reply", e.InsertReply(e.ctx, e.reply("r2", i), 0), state.ErrNotAllowed)
	if got, err := e.Run(e.ctx, run.ID); err != nil || got.ClientAppRuntime != time.Second {
		t.Errorf("a repeated reply was counted again: %v, %v", got.ClientAppRuntime, err)
	}
	e.ok(e.ConfirmReply(e.ctx, run.ID, "r"))
	e.ok(e.ConfirmReply(e.ctx, run.ID, "r"))
	e.want("a reply that was confirmed", e.InsertReply(e.ctx, e.reply("r", i), 0), state.ErrNotFound)
	// A reply can be complete at once, and may come although nobody has leased the instruction.
	j := e.instruction("j", run.ID, node.ID)
	e.insert(j)
	half := e.reply("rj", j)
	half.State = state.Gathering
	e.ok(e.InsertReply(e.ctx, half, 0))
	e.rings("the same reply, complete", func() { e.ok(e.InsertReply(e.ctx, e.reply("rj", j), 0)) }, state.KeyReplies(run.ID))
	msgs, err := e.LeaseInstructions(e.ctx, node.ID, 9, time.Time{})
	e.wantIDs("answered ones are not offered", msgs, err)
}

func testAnswers(t *testing.T, e *env) {
	run, node, weak := e.runningRun(), e.onlineNode("a"), e.onlineNode("weak")
	i, j, k := e.instruction("i", run.ID, node.ID), e.instruction("j", run.ID, weak.ID), e.instruction("k", run.ID, weak.ID)
	e.insert(i, j, k)
	r, rk := e.reply("r", i), e.reply("rk", k)
	e.ok(e.InsertReply(e.ctx, r, 0))
	e.ok(e.InsertReply(e.ctx, rk, 0))
	e.wantKind(run.ID, "j", state.NoAnswerYet)
	e.rings("a node that goes", func() { e.ok(e.DeactivateNode(e.ctx, weak.ID)) }, state.KeyReplies(run.ID), state.KeyNodes())
	for range 2 { // asking changes nothing, nor does a restart
		answers, err := e.Answers(e.ctx, run.ID, []string{"j", "unknown", "i", "k", "i"})
		e.ok(err)
		if len(answers) != 5 {
			t.Fatalf("%d answers", len(answers))
		}
		for n, want := range []state.AnswerKind{state.NodeUnavailable, state.InstructionUnknown, state.Replied, state.Replied, state.Replied} {
			if answers[n].Kind != want {
				t.Errorf("answer %d (%s) is of kind %v, want %v", n, answers[n].InstructionID, answers[n].Kind, want)
			}
		}
		if got := answers[0].Instruction; got.ID != "j" || got.NodeID != weak.ID || !bytes.Equal(got.Proto, j.Proto) {
			t.Errorf("instruction of an answer: %+v", got)
		}
		if got := answers[2].Reply; got.ID != "r" || got.ReplyTo != "i" || got.RunID != run.ID || got.NodeID != node.ID ||
			!bytes.Equal(got.Proto, r.Proto) || !bytes.Equal(got.Tree, r.Tree) || got.CreatedAt != r.CreatedAt || got.TTL != r.TTL {
			t.Errorf("reply: %+v, want %+v", got, r)
		}
		e.reopen()
	}
	known, err := e.TouchNode(e.ctx, weak.ID, time.Second, e.now().Add(time.Hour))
	if e.ok(err); !known {
		t.Fatal("the node is unknown")
	}
	e.wantKind(run.ID, "j", state.NoAnswerYet)
	e.ok(e.UnregisterNode(e.ctx, weak.ID))
	e.wantKind(run.ID, "j", state.NodeUnavailable)
	e.rings("ConfirmReply", func() { e.ok(e.ConfirmReply(e.ctx, run.ID, "r")) }, state.KeyReplies(run.ID))
	e.wantKind(run.ID, "i", state.InstructionUnknown)
	_, err = e.Message(e.ctx, "r")
	e.want("a confirmed reply", err, state.ErrNotFound)
	if none, err := e.Answers(e.ctx, run.ID, nil); len(none) != 0 || err != nil {
		t.Errorf("asked for nothing: %v, %v", none, err)
	}
}

// A run learns nothing of another run's messages.
func testAnswersOfOtherRuns(t *testing.T, e *env) {
	run, elsewhere, node := e.runningRun(), e.runningRun(), e.onlineNode("a")
	i := e.instruction("i", run.ID, node.ID)
	e.insert(i)
	e.ok(e.InsertReply(e.ctx, e.reply("r", i), 0))
	if got := e.answer(elsewhere.ID, "i"); got.Kind != state.InstructionUnknown || got.Reply.ID != "" || got.Instruction.ID != "" {
		t.Errorf("another run was told %+v", got)
	}
	e.ok(e.ConfirmReply(e.ctx, elsewhere.ID, "r"))
	e.wantKind(run.ID, "i", state.Replied)
}

func testMessageLifetimes(_ *testing.T, e *env) {
	run, node := e.runningRun(), e.onlineNode("a")
	i, j := e.instruction("i", run.ID, node.ID), e.instruction("j", run.ID, node.ID)
	i.TTL, j.TTL = 20, 30
	e.insert(i, j)
	short := e.reply("r", j)
	short.TTL = 10
	e.ok(e.InsertReply(e.ctx, short, 0))
	e.wantKind(run.ID, "j", state.Replied)
	e.pass(10 * time.Second)
	e.wantKind(run.ID, "j", state.ReplyExpired)
	e.wantKind(run.ID, "i", state.NoAnswerYet)
	e.rings("the end of an instruction", func() { e.pass(10 * time.Second) }, state.KeyReplies(run.ID))
	e.wantKind(run.ID, "i", state.InstructionUnknown)
	e.want("a late reply", e.InsertReply(e.ctx, e.reply("late", i), 0), state.ErrNotFound)
	e.pass(10 * time.Second)
	e.wantKind(run.ID, "j", state.InstructionUnknown)
	msgs, err := e.UnansweredInstructions(e.ctx, node.ID)
	e.wantIDs("owed", msgs, err)
}

func testDrop(_ *testing.T, e *env) {
	run, node := e.runningRun(), e.onlineNode("a")
	i, j := e.instruction("i", run.ID, node.ID), e.instruction("j", run.ID, node.ID)
	e.insert(i, j)
	e.ok(e.InsertReply(e.ctx, e.reply("rj", j), 0))
	e.rings("drop an instruction", func() { e.ok(e.DropMessages(e.ctx, []string{"i", "unknown"}, "test")) }, state.KeyReplies(run.ID))
	e.wantKind(run.ID, "i", state.InstructionUnknown)
	e.rings("drop a reply", func() { e.ok(e.DropMessages(e.ctx, []string{"rj"}, "test")) }, state.KeyReplies(run.ID))
	e.wantKind(run.ID, "j", state.NoAnswerYet)
	msgs, err := e.UnansweredInstructions(e.ctx, node.ID)
	e.wantIDs("owed again", msgs, err, "j")
	e.ok(e.InsertReply(e.ctx, e.reply("rj2", j), 0))
	e.wantKind(run.ID, "j", state.Replied)
}
