package swarm

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// Searcher finds objects for the fetches of a node: it is the [objects.Swarm] of one.
type Searcher struct {
	host  host.Host
	board *Board
	hub   peer.ID
}

// NewSearcher makes the Searcher of a node whose link is hub. It has no goroutines beyond those
// of a running search.
func NewSearcher(h host.Host, board *Board, hub peer.ID) *Searcher {
	return &Searcher{host: h, board: board, hub: hub}
}

// Search implements [objects.Swarm].
func (s *Searcher) Search(runID uint64, ids []string, found objects.Found) objects.Search {
	q := &search{
		Searcher: s, runID: runID, ids: ids, found: found, began: time.Now(),
		missing: make(map[string]struct{}, len(ids)), lines: make(map[peer.ID]*line), joined: make(chan struct{}),
	}
	for _, id := range ids {
		q.missing[id] = struct{}{}
	}
	q.ctx, q.stop = context.WithCancel(context.Background())
	q.hubLine = newLine(q, objects.Provider{Peer: s.hub}, true)
	q.bundle = &network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { q.connected() }}
	s.host.Network().Notify(q.bundle)
	q.follow()
	q.settled = time.AfterFunc(aloneAfter, q.hubLine.wakeUp)
	q.work.Go(func() { q.hubLine.run(q.ctx) })
	q.work.Go(q.followOn)
	return q
}

// search is one fetch's search: a line to the hub and one to each neighbour of the run.
type search struct {
	*Searcher
	runID   uint64
	ids     []string
	found   objects.Found
	hubLine *line
	bundle  *network.NotifyBundle
	settled *time.Timer // when it shows whether there are others

	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	began   time.Time
	missing map[string]struct{}
	lines   map[peer.ID]*line // to neighbours
	joined  chan struct{}     // closed and replaced when a connection comes up
}

// Close implements [objects.Search].
func (q *search) Close() {
	q.stop()
	q.settled.Stop()
	q.work.Wait()
	q.host.Network().StopNotify(q.bundle)
}

// Got implements [objects.Search].
func (q *search) Got(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.missing, id)
	q.hubLine.gotLocked(id)
	for _, l := range q.lines {
		l.gotLocked(id)
	}
}

// Liar implements [objects.Search].
func (q *search) Liar(who peer.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.hubLine.liars) < maxLiars {
		q.hubLine.liars = append(q.hubLine.liars, who)
		q.hubLine.wakeUp()
	}
}

// followOn keeps the lines as the board has them.
func (q *search) followOn() {
	for {
		changed := q.follow()
		select {
		case <-changed: // nil: never
		case <-q.ctx.Done():
			return
		}
	}
}

// follow begins and ends lines, and has all look for what may be asked now.
func (q *search) follow() (changed <-chan struct{}) {
	peers, changed := q.board.look(q.runID)
	named := make(map[peer.ID]struct{}, len(peers))
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range peers {
		named[p.Peer] = struct{}{}
		if l := q.lines[p.Peer]; l != nil {
			l.next = 0
			l.wakeUp()
			continue
		}
		l := newLine(q, p, false)
		q.lines[p.Peer] = l
		ctx, cancel := context.WithCancel(q.ctx)
		l.stop = cancel
		q.work.Go(func() { defer cancel(); l.run(ctx) })
	}
	for id, l := range q.lines {
		if _, still := named[id]; !still {
			l.stop()
			delete(q.lines, id)
		}
	}
	q.hubLine.wakeUp() // alone or not
	return changed
}

// aloneLocked reports whether no neighbour is there or may come to be. Right at the beginning
// nobody is: the link offers to one node after the other.
func (q *search) aloneLocked() bool {
	if time.Since(q.began) < aloneAfter {
		return false
	}
	for _, l := range q.lines {
		if l.state != lineDown {
			return false
		}
	}
	return true
}

// connected ends pauses and waits for connections.
func (q *search) connected() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.joined)
	q.joined = make(chan struct{})
}

func (q *search) joins() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.joined
}

// hasDirect reports whether there is a direct connection.
func (s *Searcher) hasDirect(p peer.ID) bool {
	for _, c := range s.host.Network().ConnsToPeer(p) {
		if !addr.Relayed(c) && !c.IsClosed() {
			return true
		}
	}
	return false
}
