package stock

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Nothing is accepted twice while its signature lives, whatever the order; and what is refused was
// used, or comes after maxSeen others.
func TestReplayGuard(t *testing.T) {
	type signature struct {
		key   string
		at    time.Time
		nonce byte
	}
	rapid.Check(t, func(rt *rapid.T) {
		guard := newReplayGuard()
		start := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
		now := start
		used := make(map[signature]bool)
		rt.Repeat(map[string]func(*rapid.T){
			"use": func(rt *rapid.T) {
				s := signature{
					key:   rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key"),
					at:    start.Add(time.Duration(rapid.IntRange(0, 700).Draw(rt, "at")) * time.Second),
					nonce: rapid.ByteRange(0, 3).Draw(rt, "nonce"),
				}
				if age := now.Sub(s.at); age <= -signatureSkew || age >= signatureAge {
					return // it would not get here
				}
				if fresh := guard.use(s.key, s.at, []byte{s.nonce}, now); fresh == used[s] {
					rt.Fatalf("%v at %v: fresh %t, used before %t", s, now, fresh, used[s])
				}
				used[s] = true
			},
			"wait": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "seconds")) * time.Second)
			},
			"": func(rt *rapid.T) {
				for _, h := range guard.byKey {
					if len(h.seen) > maxSeen {
						rt.Fatalf("%d marks", len(h.seen))
					}
				}
			},
		})
	})
}

func TestReplayGuardForgetsTheOldestFirst(t *testing.T) {
	guard := newReplayGuard()
	now := time.Now()
	for i := range maxSeen + 1 {
		if !guard.use("a", now.Add(time.Duration(i)), []byte("x"), now) {
			t.Fatalf("signature %d was not accepted", i)
		}
	}
	if guard.use("a", now, []byte("x"), now) {
		t.Error("a forgotten signature was accepted again")
	}
	if guard.use("a", now, []byte("another"), now) {
		t.Error("a signature as old as a forgotten one was accepted")
	}
	if !guard.use("a", now.Add(1), []byte("late"), now) {
		t.Error("a late signature was not accepted")
	}
}

func TestReplayGuardForgetsKeys(t *testing.T) {
	guard := newReplayGuard()
	now := time.Now()
	for i := range 4 * minSweep {
		guard.use(fmt.Sprint(i), now, []byte("x"), now)
	}
	later := now.Add(signatureAge)
	for i := range 8 * minSweep {
		guard.use(fmt.Sprint("later ", i%minSweep), later.Add(time.Duration(i)), []byte("x"), later)
	}
	if got := len(guard.byKey); got > 8*minSweep {
		t.Errorf("%d keys are remembered, %d are in use", got, minSweep)
	}
	guard.sweepAt = 0
	guard.use("one more", later, []byte("x"), later)
	if got := len(guard.byKey); got != minSweep+1 {
		t.Errorf("after a sweep %d keys are remembered, %d are in use", got, minSweep+1)
	}
}
