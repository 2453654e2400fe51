package sim

import (
	"math/rand/v2"
	"sync"
	"time"
)

// dice is the randomness of one simulation; several goroutines share it.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{rand: rand.New(rand.NewPCG(seed, 1))} }

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.IntN(n)
}

// oneIn is true once in n times, on average.
func (d *dice) oneIn(n int) bool { return d.n(n) == 0 }

func (d *dice) upTo(most time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rand.Int64N(int64(most)))
}

// Read fills p with random bytes, for keys and contents.
func (d *dice) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range p {
		p[i] = byte(d.rand.Uint32())
	}
	return len(p), nil
}
