package sessions

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestOutboxKeepsTheWindow(t *testing.T) {
	o := newOutbox()
	room, due := o.room()
	if !due || room != offerWindow {
		t.Fatalf("a new session has room for %d, due %t; want %d, true", room, due, offerWindow)
	}
	if _, due := o.room(); due {
		t.Error("the store would be asked again without a reason")
	}
	for i := range offerWindow {
		o.offered(fmt.Sprint(i), 1)
	}
	o.look()
	if _, due := o.room(); due {
		t.Error("a full window has room")
	}
	if run, was := o.settled("3"); !was || run != 1 {
		t.Errorf("settled: run %d, %t", run, was)
	}
	if _, again := o.settled("3"); again {
		t.Error("a message settles exactly once")
	}
	if room, due := o.room(); !due || room != 1 {
		t.Errorf("room %d, due %t after one was settled; want 1, true", room, due)
	}
}

func TestDeclinedMessageRestsInTheWindow(t *testing.T) {
	o := newOutbox()
	o.room()
	o.offered("a", 1)
	now := time.Now()
	if !o.rest("a", now.Add(declineDelay)) || o.rest("a", now) {
		t.Fatal("only an open message can rest")
	}
	if ids, next := o.rested(now); len(ids) != 0 || next != declineDelay {
		t.Errorf("too early: %v, next in %s", ids, next)
	}
	if ids, next := o.rested(now.Add(declineDelay)); len(ids) != 1 || ids[0] != "a" || next != idle {
		t.Errorf("rested: %v, next in %s", ids, next)
	}
}

func TestEndOfRunFreesItsOffers(t *testing.T) {
	ps := &peerSession{outbox: newOutbox()}
	ps.outbox.offered("a", 1)
	ps.outbox.offered("b", 2)
	ps.queueCancel(1, "stopped")
	if _, was := ps.outbox.settled("a"); was {
		t.Error("the end of run 1 left its offer in the window")
	}
	if _, was := ps.outbox.settled("b"); !was {
		t.Error("the end of run 1 freed an offer of run 2")
	}
	if ps.outbox.touched(1) || !ps.outbox.touched(2) {
		t.Error("the node should take part in run 2 only")
	}
	frames := ps.outbox.take()
	if len(frames) != 1 || frames[0].GetCancel().GetRunId() != 1 {
		t.Errorf("frames %v, want one Cancel of run 1", frames)
	}
}

func TestOutboxOfANodeThatTakesNothingIsBounded(t *testing.T) {
	ps := &peerSession{outbox: newOutbox()}
	for i := range uint64(maxQueued) {
		ps.queueCancel(i, "")
		ps.queueHint([]byte{1})
	}
	if ps.outbox.behind() {
		t.Fatal("the session counts as behind too early")
	}
	ps.queueCancel(maxQueued, "")
	ps.queueHint([]byte{1})
	if !ps.outbox.behind() {
		t.Error("a Cancel was left out, and the session does not count as behind")
	}
	if n := len(ps.outbox.take()); n != 2*maxQueued {
		t.Errorf("%d frames, want %d", n, 2*maxQueued)
	}
}

// Whatever others do, the window never holds more than it may, and a message is in only one
// place.
func TestOutboxProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ps := &peerSession{outbox: newOutbox()}
		o := ps.outbox
		now, next := time.Unix(0, 0), 0
		ids := rapid.IntRange(0, 60)
		t.Repeat(map[string]func(*rapid.T){
			"lease": func(t *rapid.T) {
				room, due := o.room()
				if !due {
					t.Skip("nothing to lease")
				}
				for range room {
					o.offered(fmt.Sprint(next), uint64(next%3))
					next++
				}
			},
			"accept":  func(t *rapid.T) { o.settled(fmt.Sprint(ids.Draw(t, "id"))) },
			"decline": func(t *rapid.T) { o.rest(fmt.Sprint(ids.Draw(t, "id")), now.Add(declineDelay)) },
			"cancel":  func(t *rapid.T) { ps.queueCancel(uint64(ids.Draw(t, "run")%3), "") },
			"wait": func(t *rapid.T) {
				now = now.Add(declineDelay / 2)
				o.rested(now)
				o.look()
			},
			"": func(t *rapid.T) {
				if n := len(o.open) + len(o.resting); n > offerWindow {
					t.Fatalf("%d messages in a window of %d", n, offerWindow)
				}
				for _, r := range o.resting {
					if _, open := o.open[r.id]; open {
						t.Fatalf("message %s is open and resting", r.id)
					}
				}
			},
		})
	})
}

func TestLogBudget(t *testing.T) {
	b := newLogBudget()
	if keep, last := b.take(1, maxLogBytes); !keep || last {
		t.Errorf("the first MiB: keep %t, last %t", keep, last)
	}
	if keep, last := b.take(1, 1); keep || !last {
		t.Errorf("one byte more: keep %t, last %t", keep, last)
	}
	if keep, last := b.take(1, 1); keep || last {
		t.Errorf("after the end: keep %t, last %t", keep, last)
	}
	if keep, _ := b.take(2, 1); !keep {
		t.Error("another run must have room of its own")
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"loss 0.5\n":                          "loss 0.5",
		"\x1b[92mINFO \x1b[0m:\ttraining\r\n": "INFO :\ttraining",
		"a\n[node bank] b":                    "a [node bank] b",
		"\x1b]0;title\a\x1b[2J":               " ]0;title  [2J",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", in, got, want)
		}
	}
}
