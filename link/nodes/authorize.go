package nodes

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/rhizome-fl/rhizome/exec/task"
	"github.com/rhizome-fl/rhizome/link/state"
)

// MayFetch tells whether a peer may read an object of a run from the link: a node with a
// session, and the object is the app of an unfinished run (nodes fetch it ahead), or
// belongs to a run in which the node takes part.
func (s *Server) MayFetch(ctx context.Context, p peer.ID, runID uint64, objectID string) bool {
	s.mu.Lock()
	one := s.sessions[p]
	s.mu.Unlock()
	if one == nil {
		return false
	}
	allowed, err := one.mayFetch(ctx, runID, objectID)
	if err != nil {
		log.Warnw("a node's right to an object could not be looked up", "node", one.node.ID, "run", runID, "error", err)
	}
	return allowed
}

func (one *peerSession) mayFetch(ctx context.Context, runID uint64, objectID string) (bool, error) {
	store := one.server.cfg.Store
	if !one.outbox.touched(runID) {
		run, err := store.Run(ctx, runID)
		if errors.Is(err, state.ErrNotFound) || err == nil && run.PrimaryTask.Status == task.Finished {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look up run %d: %w", runID, err)
		}
		if run.FABHash == objectID {
			return true, nil
		}
		owed, err := store.UnansweredByNode(ctx, runID)
		if err != nil {
			return false, fmt.Errorf("look up who takes part in run %d: %w", runID, err)
		}
		if owed[one.node.ID] == 0 {
			return false, nil
		}
		one.outbox.touch(runID)
	}
	return store.RunHasObject(ctx, runID, objectID)
}
