package relay

import (
	"container/heap"
	"sync"
	"time"
)

// minSweep is where forgetting keys becomes worth a walk over them.
const minSweep = 64

// pacer lets bytes through at a rate and shares it between keys in equal parts: of all
// that wait, the key that was served least goes next (start-time fair queueing), so that
// neither many requests nor large ones buy a larger part. What a key did not use while it
// was away is not owed to it.
//
// It keeps no goroutine; one timer runs while somebody waits. The zero rate never blocks.
type pacer[K comparable] struct {
	rate  float64 // bytes per second
	burst float64 // bytes let through at once after a rest

	mu      sync.Mutex
	tokens  float64 // may be negative: a request is let through whole
	updated time.Time
	served  map[K]*share[K] // keys that wait or were served lately
	waiting shares[K]
	floor   float64 // what the least served of the waiting had at the last grant
	sweepAt int     // size of served at which to forget keys that rest
	timer   *time.Timer
}

// share is one key's place in the queue.
type share[K comparable] struct {
	key      K
	served   float64
	requests []request // first come, first served within the key
	index    int       // in the heap; -1 while nothing waits
}

type request struct {
	n       int
	granted chan struct{}
}

func newPacer[K comparable](rate int64) *pacer[K] {
	return &pacer[K]{
		rate: float64(rate),
		// A tenth of a second, so that timers fire ten times a second at most, and a whole
		// buffer, so that one does not need two turns.
		burst:   max(float64(rate)/10, DefaultBufferSize),
		tokens:  max(float64(rate)/10, DefaultBufferSize),
		updated: time.Now(),
		served:  make(map[K]*share[K]),
		sweepAt: minSweep,
	}
}

// wait returns true when n bytes of key may go, false when cancel came first.
func (p *pacer[K]) wait(key K, n int, cancel <-chan struct{}) bool {
	if p.rate == 0 {
		return true
	}
	p.mu.Lock()
	p.refill()
	if len(p.waiting) == 0 && p.tokens > 0 {
		p.tokens -= float64(n)
		p.mu.Unlock()
		return true
	}
	granted := make(chan struct{})
	p.enqueue(key, request{n, granted})
	p.schedule()
	p.mu.Unlock()
	select {
	case <-granted:
		return true
	case <-cancel:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.forget(key, granted)
		return false
	}
}

func (p *pacer[K]) enqueue(key K, r request) {
	s := p.served[key]
	if s == nil {
		p.sweep()
		s = &share[K]{key: key, index: -1}
		p.served[key] = s
	}
	s.requests = append(s.requests, r)
	if s.index < 0 {
		s.served = max(s.served, p.floor) // what it did not use is not owed to it
		heap.Push(&p.waiting, s)
	}
}

// sweep forgets keys that rest and are owed nothing and owe nothing.
func (p *pacer[K]) sweep() {
	if len(p.served) < p.sweepAt {
		return
	}
	for key, s := range p.served {
		if s.index < 0 && s.served <= p.floor {
			delete(p.served, key)
		}
	}
	p.sweepAt = 2*len(p.served) + minSweep
}

func (p *pacer[K]) refill() {
	now := time.Now()
	p.tokens = min(p.burst, p.tokens+now.Sub(p.updated).Seconds()*p.rate)
	p.updated = now
}

// grant serves who waits while there are tokens.
func (p *pacer[K]) grant() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	p.refill()
	for p.tokens > 0 && len(p.waiting) > 0 {
		s := p.waiting[0]
		r := s.requests[0]
		p.floor = s.served
		p.tokens -= float64(r.n)
		s.served += float64(r.n)
		close(r.granted)
		if s.requests = s.requests[1:]; len(s.requests) > 0 {
			heap.Fix(&p.waiting, 0)
		} else if heap.Pop(&p.waiting); len(p.waiting) == 0 {
			p.floor = s.served // all were served: nobody is owed anything
		}
	}
	p.schedule()
}

func (p *pacer[K]) forget(key K, granted chan struct{}) {
	s := p.served[key]
	if s == nil {
		return
	}
	for i, r := range s.requests {
		if r.granted == granted {
			s.requests = append(s.requests[:i], s.requests[i+1:]...)
			break
		}
	}
	if len(s.requests) == 0 && s.index >= 0 {
		heap.Remove(&p.waiting, s.index)
	}
}

// schedule has grant called when the next byte may go.
func (p *pacer[K]) schedule() {
	if p.timer != nil || len(p.waiting) == 0 {
		return
	}
	missing := max(0, 1-p.tokens)
	p.timer = time.AfterFunc(time.Duration(missing/p.rate*float64(time.Second))+time.Microsecond, p.grant)
}

// shares is a heap, least served first.
type shares[K comparable] []*share[K]

func (h shares[K]) Len() int           { return len(h) }
func (h shares[K]) Less(i, j int) bool { return h[i].served < h[j].served }
func (h shares[K]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *shares[K]) Push(x any) {
	s := x.(*share[K])
	s.index = len(*h)
	*h = append(*h, s)
}
func (h *shares[K]) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	s.index = -1
	return s
}
