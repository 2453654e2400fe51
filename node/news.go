package node

import (
	"context"
	"errors"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/gossip"
)

// news is how the node reacts to announcements of runs. They are hints: a run that was
// started has its bundle fetched ahead, and one that has ended is no longer fetched for. The
// session alone settles what the node owes a run.
type news struct {
	node  *Node
	hints chan []byte // announcements repeated by the session

	mu    sync.Mutex
	over  map[uint64]struct{} // runs that have ended
	order []uint64            // the same, oldest first
}

func newNews(n *Node) *news {
	return &news{node: n, hints: make(chan []byte, maxHints), over: make(map[uint64]struct{})}
}

// hint takes an announcement that the link has sent through the session. It never blocks.
func (w *news) hint(raw []byte) {
	select {
	case w.hints <- raw:
	default: // that only costs time
	}
}

// follow listens to announcements until ctx ends.
func (w *news) follow(ctx context.Context) error {
	identity, err := w.node.store.Identity(ctx)
	if err != nil {
		return err
	}
	link := w.node.target.Peer
	subscriber, err := gossip.NewSubscriber(w.node.host, gossip.Config{
		Link: link, Federation: identity.Federation, Member: func(p peer.ID) bool { return p == link },
	})
	if err != nil {
		return err
	}
	heard := make(chan gossip.Announcement)
	listening, stop := context.WithCancel(ctx)
	var listener sync.WaitGroup
	defer listener.Wait()
	defer subscriber.Close()
	defer stop()
	listener.Go(func() {
		for {
			a, err := subscriber.Next(listening)
			if err != nil {
				return
			}
			select {
			case heard <- a:
			case <-listening.Done():
				return
			}
		}
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-heard:
			w.take(ctx, a)
		case raw := <-w.hints:
			a, err := subscriber.Verify(raw)
			if err == nil {
				w.take(ctx, a)
			} else if !errors.Is(err, gossip.ErrSeen) {
				log.Warn("the SuperLink repeated an announcement that is not its own", "err", err)
			}
		}
	}
}

func (w *news) take(ctx context.Context, a gossip.Announcement) {
	log.Debug("announcement", "kind", a.Kind, "run", a.RunID)
	switch a.Kind {
	case gossip.Started:
		if a.FabHash != "" && !w.isOver(a.RunID) {
			w.node.office.Prefetch(a.RunID, a.SeriesID, a.FabHash)
		}
	case gossip.Stopped, gossip.Finished:
		w.ended(a.RunID)
		if err := w.node.office.DropIdleRun(ctx, a.RunID); err != nil {
			log.Warn("what was fetched ahead for a run stays until the next session", "run", a.RunID, "err", err)
		}
	}
}

// ended remembers that a run has ended.
func (w *news) ended(runID uint64) {
	w.node.swarm.end(runID)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.over[runID]; known {
		return
	}
	if len(w.order) >= maxEnded {
		delete(w.over, w.order[0])
		w.order = w.order[1:]
	}
	w.over[runID] = struct{}{}
	w.order = append(w.order, runID)
}

func (w *news) isOver(runID uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, over := w.over[runID]
	return over
}
