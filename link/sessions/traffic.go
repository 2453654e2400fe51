package sessions

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// traffic counts the content bytes that moved for each run since they were last added to
// the run's statistics. It is bounded by the runs that objects may be fetched for.
type traffic struct {
	mu    sync.Mutex
	byRun map[uint64]moved
}

type moved struct{ sent, received uint64 }

func newTraffic() *traffic { return &traffic{byRun: make(map[uint64]moved)} }

func (t *traffic) add(runID uint64, m moved) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.byRun[runID]
	t.byRun[runID] = moved{sum.sent + m.sent, sum.received + m.received}
}

func (t *traffic) take(runID uint64) moved {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.byRun[runID]
	delete(t.byRun, runID)
	return m
}

// Sent is told of each block that a peer took: a sign of life, since a stream takes no
// more than its reader makes room for.
func (s *Server) Sent(to peer.ID, runID uint64, bytes int) {
	s.traffic.add(runID, moved{sent: uint64(bytes)})
	s.lives(to)
}

// Received is told of each block that came from a peer.
func (s *Server) Received(from peer.ID, runID uint64, bytes int) {
	s.traffic.add(runID, moved{received: uint64(bytes)})
	s.lives(from)
}

func (s *Server) lives(p peer.ID) {
	if ps := s.session(p); ps != nil {
		ps.heard.Store(time.Now().UnixNano())
	}
}

// keepTraffic adds what moved for a run to its statistics, when something of it is done.
func (s *Server) keepTraffic(ctx context.Context, runID uint64) {
	m := s.traffic.take(runID)
	if m == (moved{}) {
		return
	}
	if err := s.cfg.Store.AddRunStats(ctx, runID, m.sent, m.received, 0); err != nil {
		log.Warn("bytes of a run were not counted", "run", runID, "err", err)
	}
}
