package objects

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// errSlow ends a stream whose object another source can give much sooner.
var errSlow = errors.New("another peer is faster")

// pace measures one stream.
type pace struct {
	bytes atomic.Int64
	slow  atomic.Bool // the stream was ended for it
}

// keepPace resets the stream of a fetch in a swarm when another source has nothing to do
// and could send the same sooner: what a slow peer has begun goes on there. Stop it when
// the stream is over.
func (r *receiving) keepPace(stream network.Stream) (stop func()) {
	if r.swarm == nil {
		return func() {}
	}
	ended, done := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		tick := time.NewTicker(slowLook)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case now := <-tick.C:
				took := now.Sub(began)
				if took >= slowStart && r.hopeless(float64(r.pace.bytes.Load())/took.Seconds()) {
					r.pace.slow.Store(true)
					_ = stream.Reset()
					return
				}
			}
		}
	}()
	return func() {
		close(ended)
		<-done
		if n := r.pace.bytes.Load(); n > 0 {
			r.mu.Lock()
			r.src.rate = float64(n) / max(time.Since(began).Seconds(), 1e-3)
			r.mu.Unlock()
		}
	}
}

// hopeless reports whether an idle source could give what this stream still has to bring,
// and is known to be much faster, or not known while this one is really slow.
func (r *receiving) hopeless(rate float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.asked {
		if r.fetch.done[t] {
			continue
		}
		for _, other := range r.sources {
			if other != r.src && other.idle > 0 && !t.pinned && t.usable(other) && (other.rate > slowFactor*rate || other.rate == 0 && rate < slowRate) {
				return true
			}
		}
	}
	return false
}
