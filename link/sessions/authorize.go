package sessions

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Authorize reports whether a peer may read an object of a run from the link: it must be a node
// with a session, and the object must be the app of an unfinished run (nodes fetch it ahead) or
// be held by a run in which the node takes part. It is the link's objects.Authorize.
func (s *Server) Authorize(ctx context.Context, p peer.ID, runID uint64, objectID string) error {
	ps := s.session(p)
	if ps == nil {
		return objects.ErrRefused
	}
	allowed, err := ps.mayFetch(ctx, runID, objectID)
	if err == nil && !allowed {
		return objects.ErrRefused
	}
	return err
}

func (ps *peerSession) mayFetch(ctx context.Context, runID uint64, objectID string) (bool, error) {
	store := ps.server.cfg.Store
	if !ps.outbox.touched(runID) {
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
		if owed[ps.node.ID] == 0 {
			return false, nil
		}
		ps.outbox.touch(runID)
	}
	unheld, err := store.UnheldObjects(ctx, runID, []string{objectID})
	return err == nil && len(unheld) == 0, err
}
