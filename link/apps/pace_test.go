package apps

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

const testTask = 7

func TestFirstHoldIsShort(t *testing.T) {
	p := newPacer()
	pull := p.begin(testTask, []string{"a", "b"}, time.Now())
	if pull.hold != holdFirst || pull.eager {
		t.Errorf("first pull: hold %s, eager %t; want %s, false", pull.hold, pull.eager, holdFirst)
	}
	if pull.enough(1, 2) || !pull.enough(2, 2) {
		t.Error("a client of send_and_receive must get all answers or wait")
	}
}

// A first round of a few seconds, as with stock SuperNodes or cold starts, is answered in one pull:
// the client never sleeps.
func TestFirstRoundOfSomeSecondsIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		pull := p.begin(testTask, []string{"a", "b"}, time.Now())
		const round = 4 * time.Second
		if pull.hold <= round {
			t.Errorf("the first hold of %s ends before a round of %s", pull.hold, round)
		}
		if pull.enough(1, 2) {
			t.Error("half a round was answered")
		}
	})
}

// The client of send_and_receive sleeps 3 s after each pull that left something open: its holds
// grow with the time that the round takes, and stay below it.
func TestHoldsOfSendAndReceiveFollowTheRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		start := time.Now()
		for range 8 {
			pull := p.begin(testTask, []string{"a", "b"}, time.Now())
			if pull.eager {
				t.Fatal("the client was taken for asynchronous")
			}
			want := min(holdMost, max(holdFirst, time.Since(start)))
			if pull.hold != want {
				t.Fatalf("after %s: hold %s, want %s", time.Since(start), pull.hold, want)
			}
			time.Sleep(pull.hold)
			pull.answered(nil, time.Now())
			time.Sleep(3 * time.Second)
		}
	})
}

func TestHoldRemembersTheLongestRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		pull := p.begin(testTask, []string{"a"}, time.Now())
		time.Sleep(8 * time.Second)
		pull.answered([]string{"a"}, time.Now())
		if next := p.begin(testTask, []string{"b"}, time.Now()); next.hold != 12*time.Second {
			t.Errorf("hold after a round of 8 s: %s, want 12s", next.hold)
		}
		p.forget(testTask)
		if next := p.begin(testTask, []string{"c"}, time.Now()); next.hold != holdFirst {
			t.Errorf("a new task starts with %s, want %s", next.hold, holdFirst)
		}
	})
}

func TestFastPollerIsAsynchronous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		p.begin(testTask, []string{"a", "b"}, time.Now()).answered(nil, time.Now())
		time.Sleep(100 * time.Millisecond)
		pull := p.begin(testTask, []string{"a", "b"}, time.Now())
		if !pull.eager || pull.hold != holdAsync {
			t.Fatalf("eager %t, hold %s", pull.eager, pull.hold)
		}
		if pull.enough(0, 2) || !pull.enough(1, 2) {
			t.Error("an asynchronous client must be answered when anything is there")
		}
		pull.answered(nil, time.Now())
		time.Sleep(3 * time.Second)
		if p.begin(testTask, []string{"a", "b"}, time.Now()).eager {
			t.Error("a pull 3 s after an empty answer must be taken for send_and_receive")
		}
	})
}

// Only a client with a rhythm of its own adds new messages to a set that it is waiting for.
func TestGrowingSetIsAsynchronous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		p.begin(testTask, []string{"a", "b"}, time.Now()).answered([]string{"a"}, time.Now())
		time.Sleep(10 * time.Second)
		if !p.begin(testTask, []string{"b", "c"}, time.Now()).eager {
			t.Error("a growing set was not noticed")
		}
	})
}

// Handling a reply may take any time, so a late pull after an answer with replies says nothing
// about the client.
func TestSlowHandlingKeepsAsynchronous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		p.begin(testTask, []string{"a", "b", "c"}, time.Now()).answered(nil, time.Now())
		time.Sleep(time.Second)
		p.begin(testTask, []string{"a", "b", "c"}, time.Now()).answered([]string{"a"}, time.Now())
		time.Sleep(20 * time.Second)
		if !p.begin(testTask, []string{"b", "c"}, time.Now()).eager {
			t.Error("the kind of the client was forgotten")
		}
	})
}

func TestRepeatedRequestIsNoRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		p.begin(testTask, []string{"a"}, time.Now()) // its answer was lost
		time.Sleep(time.Second)
		if p.begin(testTask, []string{"a"}, time.Now()).eager {
			t.Error("a retry was taken for an asynchronous client")
		}
	})
}

func TestThreadsOfOneAppKeepTheirRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		first := p.begin(testTask, []string{"a"}, time.Now())
		const apart, asked = 4 * time.Second, holdFirst + time.Second
		time.Sleep(apart)
		two := p.begin(testTask, []string{"b"}, time.Now())
		first.answered(nil, time.Now())
		two.answered(nil, time.Now())
		time.Sleep(asked)
		if pull := p.begin(testTask, []string{"a"}, time.Now()); pull.hold != apart+asked {
			t.Errorf("first thread holds %s, want %s", pull.hold, apart+asked)
		}
		if pull := p.begin(testTask, []string{"b"}, time.Now()); pull.hold != asked {
			t.Errorf("second thread holds %s, want %s", pull.hold, asked)
		}
	})
}

func TestRoundsAreBounded(t *testing.T) {
	p := newPacer()
	for i := range 10 * maxRounds {
		p.begin(testTask, []string{fmt.Sprint(i)}, time.Now())
	}
	if n := len(p.tasks[testTask].rounds); n != maxRounds {
		t.Errorf("%d rounds are remembered, want %d", n, maxRounds)
	}
}
