package objects

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestStreamsAreBounded(t *testing.T) {
	s := serverFor(nil, ServerOptions{Serving: 3, Queued: 2, PerPeer: 2})
	enter := func(p peer.ID, want bool) func() {
		t.Helper()
		leave, err := s.enter(p, false)
		if (err == nil) != want {
			t.Errorf("a stream of %s: %v", string(p), err)
		}
		return leave
	}
	leave := enter("a", true)
	enter("a", true)
	enter("a", false) // its own limit
	enter("b", true)
	enter("b", true)
	last := enter("c", true)
	enter("d", false) // everybody's limit
	last()
	leave()
	enter("d", true)
	enter("a", true)
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	enter("e", false)
	if s.streams != 5 || s.byPeer["a"] != 2 || s.byPeer["c"] != 0 || len(s.byPeer) != 3 {
		t.Errorf("%d streams are counted, by peer: %v", s.streams, s.byPeer)
	}
}
