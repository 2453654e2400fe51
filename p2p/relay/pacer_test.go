package relay

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// drain takes chunks for key as fast as the pacer lets it, and counts bytes.
func drain(p *pacer[string], key string, chunk int, stop <-chan struct{}, total *int) {
	for p.wait(key, chunk, stop) {
		*total += chunk
		select {
		case <-stop:
			return
		default:
		}
	}
}

func TestPacerSharesInEqualBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, seconds = 1 << 20, 60
		p := newPacer[string](rate)
		stop := make(chan struct{})
		var small, large, many int
		manyParts := make([]int, 8)
		go drain(p, "small chunks", 1<<10, stop, &small)
		go drain(p, "large chunks", 64<<10, stop, &large)
		for i := range manyParts { // eight circuits of one key
			go drain(p, "many", 64<<10, stop, &manyParts[i])
		}
		time.Sleep(seconds * time.Second)
		close(stop)
		synctest.Wait()
		for _, n := range manyParts {
			many += n
		}
		total := small + large + many
		if want := float64(rate * seconds); math.Abs(float64(total)-want) > want/50 {
			t.Errorf("carried %d bytes in %d s at %d bytes/s", total, seconds, rate)
		}
		for name, n := range map[string]int{"small chunks": small, "large chunks": large, "many circuits": many} {
			if part := float64(n) / float64(total); math.Abs(part-1.0/3) > 0.03 {
				t.Errorf("%s got %.3f of the rate, want a third", name, part)
			}
		}
	})
}

func TestPacerGivesIdlePartAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer[string](1 << 20)
		stop := make(chan struct{})
		var alone, late int
		go drain(p, "alone", 64<<10, stop, &alone)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		before := alone
		if before < 29<<20 {
			t.Errorf("a lone key got %d bytes in 30 s of 1 MiB/s", before)
		}
		go drain(p, "late", 64<<10, stop, &late)
		time.Sleep(10 * time.Second)
		close(stop)
		synctest.Wait()
		// What "alone" had used was free, so it owes the newcomer nothing.
		if part := float64(late) / float64(late+alone-before); math.Abs(part-0.5) > 0.05 {
			t.Errorf("the newcomer got %.2f from its arrival on, want half", part)
		}
	})
}

func TestPacerForgetsWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer[int](1)
		p.wait(0, 1<<20, nil) // in debt for days
		stop := make(chan struct{})
		refused := make(chan bool)
		for i := range 1000 {
			go func() { refused <- !p.wait(i, 100, stop) }()
		}
		synctest.Wait()
		close(stop)
		for range 1000 {
			if !<-refused {
				t.Fatal("bytes were let through that the rate forbids")
			}
		}
		if len(p.waiting) != 0 {
			t.Errorf("%d still wait", len(p.waiting))
		}
		p.timer.Stop() // it would find nobody
	})
}

func TestPacerWithoutRateNeverWaits(t *testing.T) {
	p := newPacer[int](0)
	for range 1000 {
		if !p.wait(1, math.MaxInt32, nil) {
			t.Fatal("refused")
		}
	}
}

func TestPacerRemembersFewKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer[int](1 << 20)
		for i := range 10_000 {
			p.wait(i, 64<<10, nil)
		}
		if n := len(p.served); n > 4*minSweep {
			t.Errorf("%d keys remembered, and none waits", n)
		}
	})
}
