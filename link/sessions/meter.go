package sessions

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Sent is told of each block that a peer took: a sign of life, since a stream takes no
// more than its reader makes room for.
func (s *Server) Sent(to peer.ID, runID uint64, bytes int) {
	s.traffic.Sent(runID, int64(bytes))
	s.lives(to)
}

// Received is told of each block that came from a peer.
func (s *Server) Received(from peer.ID, runID uint64, bytes int) {
	s.traffic.Received(runID, int64(bytes))
	s.lives(from)
}

func (s *Server) lives(p peer.ID) {
	if ps := s.session(p); ps != nil {
		ps.heard.Store(time.Now().UnixNano())
	}
}
