package sessions

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestMessageThereAndBack(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{Name: "hospital"})
	run := h.run()
	id := h.instruct(run.ID, n.id)
	if got := n.offered(); got != id {
		t.Fatalf("offered %s, want %s", got, id)
	}
	h.awaitState(id, state.Leased)
	n.accept(id)
	h.awaitState(id, state.Delivered)
	n.reply(n.answerTo(id))
	n.acked(id, false)
	a := h.answer(run.ID, id)
	if a.Kind != state.Replied {
		t.Fatalf("the reply was acknowledged but is not there: %v", a.Kind)
	}
	ids := []string{a.Reply.ID, treeOf(t, a.Reply).GetChildren()[0].GetObjectId()}
	for _, object := range ids {
		if !h.objects.Has(object) {
			t.Errorf("object %s of an acknowledged reply is missing", object)
		}
	}
	h.await("statistics", func() bool {
		r, err := h.store.Run(t.Context(), run.ID)
		return err == nil && r.BytesReceived > 0 && r.ClientAppRuntime == 1500*time.Millisecond
	})
}

func TestNodeKeepsItsIDAndName(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{Name: "a"})
	n.join(&sessionpb.Hello{Name: "b", Location: "Basel"})
	h.restart()
	n.join(&sessionpb.Hello{Name: "b", Location: "Basel"})
	node, err := h.store.Node(t.Context(), n.id)
	must(t, err)
	if node.Name != "b" || node.Location != "Basel" || node.Status != state.NodeOnline || len(node.PublicKey) == 0 {
		t.Errorf("node is %+v", node)
	}
}

// Whatever was lost, comparing the inventories settles it: see the table at reconcile.
func TestReconcile(t *testing.T) {
	t.Run("lost offer", func(t *testing.T) {
		h := newHub(t, nil)
		n := newNode(t, h)
		n.join(&sessionpb.Hello{})
		id := h.instruct(h.run().ID, n.id)
		n.offered()
		h.awaitState(id, state.Leased)
		n.join(&sessionpb.Hello{})
		if again := n.offered(); again != id {
			t.Errorf("offered %s, want %s again", again, id)
		}
	})
	t.Run("lost disk", func(t *testing.T) {
		h := newHub(t, nil)
		n := newNode(t, h)
		n.join(&sessionpb.Hello{})
		id := h.instruct(h.run().ID, n.id)
		n.accept(n.offered())
		h.awaitState(id, state.Delivered)
		n.join(&sessionpb.Hello{})
		if again := n.offered(); again != id {
			t.Errorf("offered %s, want %s again", again, id)
		}
	})
	t.Run("lost accept", func(t *testing.T) {
		h := newHub(t, nil)
		n := newNode(t, h)
		n.join(&sessionpb.Hello{})
		id := h.instruct(h.run().ID, n.id)
		n.offered()
		h.awaitState(id, state.Leased)
		n.join(&sessionpb.Hello{Accepted: []string{id}})
		h.awaitState(id, state.Delivered)
		n.quiet()
	})
	t.Run("lost reply", func(t *testing.T) {
		h := newHub(t, nil)
		n := newNode(t, h)
		n.join(&sessionpb.Hello{})
		id := h.instruct(h.run().ID, n.id)
		n.accept(n.offered())
		h.awaitState(id, state.Delivered)
		reply := n.answerTo(id)
		n.join(&sessionpb.Hello{UnsentReplies: []string{id}})
		n.reply(reply)
		n.acked(id, false)
	})
	t.Run("lost acknowledgement", func(t *testing.T) {
		h := newHub(t, nil)
		n := newNode(t, h)
		n.join(&sessionpb.Hello{})
		run := h.run()
		id := h.instruct(run.ID, n.id)
		n.accept(n.offered())
		reply := n.answerTo(id)
		n.reply(reply)
		n.acked(id, false)
		n.join(&sessionpb.Hello{UnsentReplies: []string{id}})
		n.reply(reply)
		n.acked(id, false)
		n.quiet()
		if a := h.answer(run.ID, id); a.Kind != state.Replied {
			t.Errorf("answer is %v", a.Kind)
		}
	})
	t.Run("run ended meanwhile", func(t *testing.T) {
		h := newHub(t, nil)
		n := newNode(t, h)
		n.join(&sessionpb.Hello{})
		run := h.run()
		id := h.instruct(run.ID, n.id)
		n.accept(n.offered())
		h.awaitState(id, state.Delivered)
		must(t, h.store.FinishRun(t.Context(), run.ID, task.Stopped, ""))
		n.join(&sessionpb.Hello{Accepted: []string{id}, RunIds: []uint64{run.ID, 12345}})
		n.acked(id, true)
		for _, want := range []uint64{run.ID, 12345} {
			if got := n.next().GetCancel().GetRunId(); got != want {
				t.Errorf("cancelled run %d, want %d", got, want)
			}
		}
	})
}

// A Hello that names endlessly many runs costs the link a bounded number of reads.
func TestHelloIsNotBelievedWithoutEnd(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	made := make([]uint64, maxHelloRuns+100)
	for i := range made {
		made[i] = uint64(i) + 1000
	}
	n.join(&sessionpb.Hello{RunIds: made})
	for i := range maxHelloRuns {
		if got := n.next().GetCancel().GetRunId(); got != made[i] {
			t.Fatalf("cancelled run %d, want %d", got, made[i])
		}
	}
	n.quiet()
}

func TestReplyTwiceIsAcknowledgedTwice(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	id := h.instruct(h.run().ID, n.id)
	n.accept(n.offered())
	reply := n.answerTo(id)
	n.reply(reply)
	n.acked(id, false)
	n.reply(reply)
	n.acked(id, false)
}

func TestSecondDifferentReplyIsDropped(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	run := h.run()
	id := h.instruct(run.ID, n.id)
	n.accept(n.offered())
	first, second := n.answerTo(id), n.answerTo(id)
	n.reply(first)
	n.acked(id, false)
	n.reply(second)
	n.acked(id, true)
}

func TestReplyToAnothersInstructionIsDropped(t *testing.T) {
	h := newHub(t, nil)
	n, thief := newNode(t, h), newNode(t, h)
	n.join(&sessionpb.Hello{})
	thief.join(&sessionpb.Hello{})
	run := h.run()
	id := h.instruct(run.ID, n.id)
	n.accept(n.offered())
	thief.reply(thief.answerTo(id))
	thief.acked(id, true)
	if a := h.answer(run.ID, id); a.Kind != state.NoAnswerYet {
		t.Errorf("another node's reply counted: %v", a.Kind)
	}
	thief.accept(id)
	thief.quiet()
}

func TestReplyWithoutObjectsFailsItsInstruction(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	run := h.run()
	id := h.instruct(run.ID, n.id)
	n.accept(n.offered())
	reply := n.answerTo(id)
	ids, err := message.Objects(reply.GetTree())
	must(t, err)
	for _, object := range ids {
		must(t, n.objects.Remove(object))
	}
	n.reply(reply)
	n.acked(id, true)
	if a := h.answer(run.ID, id); a.Kind != state.InstructionUnknown {
		t.Errorf("the ServerApp would wait for a reply that cannot come: %v", a.Kind)
	}
}

func TestDecline(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	run := h.run()
	id := h.instruct(run.ID, n.id)
	n.offered()
	n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Decline{Decline: &sessionpb.Decline{MessageId: id, Detail: "never", Permanent: true}}})
	h.await("the end of the instruction", func() bool { return h.answer(run.ID, id).Kind == state.InstructionUnknown })
}

func TestEndOfRunCancelsOnTheNode(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	run := h.run()
	h.instruct(run.ID, n.id)
	n.accept(n.offered())
	must(t, h.store.FinishRun(t.Context(), run.ID, task.Stopped, "by hand"))
	must(t, h.server.CancelRun(t.Context(), run.ID, "stopped"))
	if got := n.next().GetCancel().GetRunId(); got != run.ID {
		t.Errorf("cancelled run %d, want %d", got, run.ID)
	}
}

func TestGraceThenUnavailable(t *testing.T) {
	h := newHub(t, func(c *Config) { c.Heartbeat, c.Grace = 50*time.Millisecond, 300*time.Millisecond })
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	run := h.run()
	id := h.instruct(run.ID, n.id)
	n.accept(n.offered())
	h.awaitState(id, state.Delivered)
	must(t, n.host.Network().ClosePeer(h.host.ID()))
	h.await("the end of the session", func() bool { return h.server.Count() == 0 })
	if a := h.answer(run.ID, id); a.Kind != state.NoAnswerYet {
		t.Errorf("within the grace period: %v", a.Kind)
	}
	h.await("the end of the grace period", func() bool {
		_, err := h.store.Expire(t.Context(), time.Now())
		must(t, err)
		return h.answer(run.ID, id).Kind == state.NodeUnavailable
	})
	n.join(&sessionpb.Hello{Accepted: []string{id}})
	if node, err := h.store.Node(t.Context(), n.id); err != nil || node.Status != state.NodeOnline {
		t.Errorf("a node that returned late is %s (%v)", node.Status, err)
	}
}

func TestSilentNodeIsGivenUp(t *testing.T) {
	h := newHub(t, func(c *Config) { c.Heartbeat, c.Grace = 50*time.Millisecond, time.Second })
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	n.expectEnd()
	node, err := h.store.Node(t.Context(), n.id)
	must(t, err)
	if node.Status != state.NodeOnline {
		t.Errorf("a silent node should have its grace period; it is %s", node.Status)
	}
}

// The grace period counts from the last sign of life, even when the end of the session cuts a
// transfer, which then counts the bytes that it has in hand.
func TestSilenceDoesNotProlongTheGracePeriod(t *testing.T) {
	const beat, grace = 100 * time.Millisecond, time.Minute
	var h *hub
	h = newHub(t, func(c *Config) {
		c.Heartbeat, c.Grace = beat, grace
		c.Fetch = func(ctx context.Context, from peer.ID, runID uint64, _ []string, _ func(string)) error {
			<-ctx.Done()
			h.server.Received(from, runID, 1)
			return context.Cause(ctx)
		}
	})
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	run := h.run()
	id := h.instruct(run.ID, n.id)
	n.accept(n.offered())
	n.reply(n.answerTo(id))
	n.expectEnd()
	ended := time.Now()
	h.await("the grace period", func() bool {
		node, err := h.store.Node(t.Context(), n.id)
		must(t, err)
		until := node.OnlineUntil.Sub(ended)
		if until > grace+time.Minute {
			return false // the session still lasts
		}
		if until > grace-silentBeats*beat {
			t.Errorf("after a silence of %v the node has %v left of %v", silentBeats*beat, until, grace)
		}
		return true
	})
}

// A node whose reply fills its line says nothing else for a while, and is told that its link is alive.
func TestLinkShowsLifeWhileItOnlyReceives(t *testing.T) {
	const beat = 50 * time.Millisecond
	h := newHub(t, func(c *Config) { c.Heartbeat = beat })
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	block := time.NewTicker(beat / 10)
	defer block.Stop()
	deadline := time.After(patience)
	for {
		select {
		case <-block.C:
			h.server.Received(n.host.ID(), 1, 1)
		case frame, open := <-n.frames:
			if !open {
				t.Fatal("the link ended the session")
			}
			if frame.GetPing() != nil {
				return
			}
		case <-deadline:
			t.Fatalf("no ping within %v", patience)
		}
	}
}

func TestByeIsOfflineAtOnce(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Bye{Bye: &sessionpb.Bye{}}})
	h.await("offline", func() bool {
		node, err := h.store.Node(t.Context(), n.id)
		return err == nil && node.Status == state.NodeOffline
	})
}

func TestRestartOfTheLinkLosesNothing(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	run := h.run()
	accepted, offered := h.instruct(run.ID, n.id), h.instruct(run.ID, n.id)
	n.accept(n.offered())
	n.offered()
	h.awaitState(accepted, state.Delivered)
	h.awaitState(offered, state.Leased)
	h.restart()
	n.join(&sessionpb.Hello{Accepted: []string{accepted}, RunIds: []uint64{run.ID}})
	if again := n.offered(); again != offered {
		t.Errorf("offered %s, want %s", again, offered)
	}
	n.reply(n.answerTo(accepted))
	n.acked(accepted, false)
}

func TestRefusals(t *testing.T) {
	h := newHub(t, nil)
	refusal := func(n *scripted, hello *sessionpb.Hello) sessionpb.Refused_Reason {
		t.Helper()
		n.dial()
		n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: hello}})
		refused := n.next().GetRefused()
		if refused == nil {
			t.Fatal("the node was not refused")
		}
		n.expectEnd()
		return refused.GetReason()
	}
	stranger := &scripted{t: t, hub: h, host: newHost(t)}
	stranger.host.Peerstore().AddAddrs(h.host.ID(), h.host.Addrs(), time.Hour)
	if r := refusal(stranger, &sessionpb.Hello{Version: version}); r != sessionpb.Refused_NOT_A_MEMBER {
		t.Errorf("a stranger was refused as %s", r)
	}
	n := newNode(t, h)
	if r := refusal(n, &sessionpb.Hello{Version: version + 1}); r != sessionpb.Refused_VERSION {
		t.Errorf("another version was refused as %s", r)
	}
	n.join(&sessionpb.Hello{})
	must(t, h.store.RemoveMember(t.Context(), n.host.ID().String()))
	h.server.Revoke(n.host.ID())
	n.expectEnd()
	if r := refusal(n, &sessionpb.Hello{Version: version}); r != sessionpb.Refused_REVOKED {
		t.Errorf("a revoked node was refused as %s", r)
	}
	n.dial()
	n.accept("not a hello")
	if n.next().GetRefused() == nil {
		t.Error("a session without a Hello was not refused")
	}
}

func TestAppLogs(t *testing.T) {
	h := newHub(t, nil)
	n, bystander := newNode(t, h), newNode(t, h)
	n.join(&sessionpb.Hello{Name: "hospital"})
	bystander.join(&sessionpb.Hello{Name: "other"})
	run := h.run()
	h.instruct(run.ID, n.id)
	n.offered()
	lines := func(n *scripted, text string) {
		n.send(&sessionpb.Frame{Body: &sessionpb.Frame_AppLogs{AppLogs: &sessionpb.AppLogs{RunId: run.ID, Lines: []string{text}}}})
	}
	lines(bystander, "I am not asked")
	bystander.quiet()
	lines(n, "loss 0.5")
	n.quiet()
	text, _, _, err := h.store.Logs(t.Context(), run.ID, 0)
	must(t, err)
	if text != "[node hospital] loss 0.5\n" {
		t.Errorf("the log is %q", text)
	}
}

func TestObjectsOnlyForThoseWhoTakePart(t *testing.T) {
	h := newHub(t, nil)
	n, bystander := newNode(t, h), newNode(t, h)
	n.join(&sessionpb.Hello{})
	bystander.join(&sessionpb.Hello{})
	run := h.run()
	id := h.instruct(run.ID, n.id)
	n.offered()
	fetch := func(n *scripted, object string) error {
		return objects.Fetch(t.Context(), n.host, h.host.ID(), run.ID, []string{object}, n.objects, objects.FetchOptions{})
	}
	if err := fetch(n, id); err != nil {
		t.Errorf("the node cannot fetch its message: %v", err)
	}
	if err := fetch(bystander, id); err == nil {
		t.Error("a node got an object of a run in which it takes no part")
	}
	if err := fetch(bystander, run.FABHash); err != nil {
		t.Errorf("a node cannot fetch an app ahead: %v", err)
	}
	must(t, h.store.FinishRun(t.Context(), run.ID, task.Stopped, ""))
	must(t, h.server.CancelRun(t.Context(), run.ID, ""))
	if err := fetch(newMember(t, h), run.FABHash); err == nil {
		t.Error("a node without a session got an object")
	}
}

func newMember(t *testing.T, h *hub) *scripted { return newNode(t, h) }

func TestMoreMessagesThanTheWindow(t *testing.T) {
	h := newHub(t, nil)
	n := newNode(t, h)
	n.join(&sessionpb.Hello{})
	run := h.run()
	const messages = offerWindow + 5
	want := make(map[string]bool)
	for range messages {
		want[h.instruct(run.ID, n.id)] = true
	}
	for range offerWindow {
		id := n.offered()
		if !want[id] {
			t.Fatalf("message %s was offered twice or not made", id)
		}
		delete(want, id)
		defer n.accept(id)
	}
	n.quiet()
	if len(want) != messages-offerWindow {
		t.Errorf("%d messages are left", len(want))
	}
}
