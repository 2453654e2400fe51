package swarm

import (
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// Board is a node's part: whom the link has named, what may be given to them, and who waits
// for what here. Its methods may be called concurrently, and answer from memory.
type Board struct {
	has func(id string) bool

	mu    sync.Mutex
	runs  map[uint64]*boardRun
	known map[peer.ID]int // in how many runs
}

// boardRun is one run on a Board.
type boardRun struct {
	peers   map[peer.ID]objects.Provider
	shared  map[string]struct{}
	order   []string // of shared, by age
	askers  map[*boardAsker]struct{}
	changed chan struct{} // closed and replaced when peers or shared change
}

// NewBoard makes an empty Board of a node with a store; has tells whether an object is in it.
func NewBoard(has func(id string) bool) *Board {
	return &Board{has: has, runs: make(map[uint64]*boardRun), known: make(map[peer.ID]int)}
}

// SetPeers replaces the peers of a run. Those that are in no run any more are returned: the
// caller cuts them off.
func (b *Board) SetPeers(runID uint64, peers []objects.Provider) (gone []peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.run(runID)
	if r == nil {
		return nil
	}
	before := r.peers
	r.peers = make(map[peer.ID]objects.Provider, len(peers))
	for _, p := range peers[:min(len(peers), maxNamed)] {
		if _, twice := r.peers[p.Peer]; twice {
			continue
		}
		p.Direct = true
		r.peers[p.Peer] = p
		b.known[p.Peer]++
	}
	gone = b.forget(before)
	r.leave(func(p peer.ID) bool { _, still := r.peers[p]; return !still })
	r.wake()
	return gone
}

// run finds or begins a run; nil when there are too many.
func (b *Board) run(runID uint64) *boardRun {
	r := b.runs[runID]
	if r == nil && len(b.runs) < maxCourses {
		r = &boardRun{
			peers: make(map[peer.ID]objects.Provider), shared: make(map[string]struct{}),
			askers: make(map[*boardAsker]struct{}), changed: make(chan struct{}),
		}
		b.runs[runID] = r
	}
	return r
}

// forget counts peers of a run out.
func (b *Board) forget(peers map[peer.ID]objects.Provider) (gone []peer.ID) {
	for p := range peers {
		if b.known[p]--; b.known[p] == 0 {
			delete(b.known, p)
			gone = append(gone, p)
		}
	}
	return gone
}

// Share notes that objects of a run go to several nodes.
func (b *Board) Share(runID uint64, ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.run(runID)
	if r == nil {
		return
	}
	for _, id := range ids {
		if _, known := r.shared[id]; known {
			continue
		}
		if len(r.order) >= maxShared {
			delete(r.shared, r.order[0])
			r.order = r.order[1:]
		}
		r.shared[id] = struct{}{}
		r.order = append(r.order, id)
		b.tellWaiting(r, id)
	}
	r.wake()
}

// End forgets a run, and returns as SetPeers does.
func (b *Board) End(runID uint64) (gone []peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.endLocked(runID)
}

func (b *Board) endLocked(runID uint64) []peer.ID {
	r := b.runs[runID]
	if r == nil {
		return nil
	}
	delete(b.runs, runID)
	r.leave(func(peer.ID) bool { return true })
	gone := b.forget(r.peers)
	r.peers = nil
	r.wake()
	return gone
}

// Clear forgets everything, and returns as SetPeers does: nobody vouches for anybody any more.
func (b *Board) Clear() (gone []peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for runID := range b.runs {
		gone = append(gone, b.endLocked(runID)...)
	}
	return gone
}

// Knows reports whether the link has named the peer for some run.
func (b *Board) Knows(p peer.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[p] > 0
}

// Count is how many peers are known.
func (b *Board) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.known)
}

// May reports whether the peer may have an object in the name of a run.
func (b *Board) May(p peer.ID, runID uint64, id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.runs[runID]
	if r == nil {
		return false
	}
	_, named := r.peers[p]
	_, shared := r.shared[id]
	return named && shared
}

// Arrived says that an object is in the store.
func (b *Board) Arrived(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.runs {
		b.tellWaiting(r, id)
	}
}

// tellWaiting tells those who wait for an object that it can be had, if so.
func (b *Board) tellWaiting(r *boardRun, id string) {
	if _, shared := r.shared[id]; !shared || len(r.askers) == 0 || !b.has(id) {
		return
	}
	for a := range r.askers {
		if _, wants := a.wants[id]; wants {
			delete(a.wants, id)
			a.tell([]string{id})
		}
	}
}

// look returns what a search needs of a run: its peers, a test for what is shared, and a channel
// that is closed when either changes.
func (b *Board) look(runID uint64) (peers []objects.Provider, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.run(runID)
	if r == nil {
		return nil, nil
	}
	for _, p := range r.peers {
		peers = append(peers, p)
	}
	return peers, r.changed
}

// sharedOf filters the ids that may be asked of others.
func (b *Board) sharedOf(runID uint64, ids []string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.runs[runID]
	if r == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, shared := r.shared[id]; return !shared })
}

// Begin implements [Source].
func (b *Board) Begin(p peer.ID, runID uint64, tell func([]string)) (Asker, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.runs[runID]
	if r == nil {
		return nil, ErrRefused
	}
	if _, named := r.peers[p]; !named {
		return nil, ErrRefused
	}
	a := &boardAsker{board: b, run: r, peer: p, tell: tell, wants: make(map[string]struct{})}
	r.askers[a] = struct{}{}
	return a, nil
}

// leave ends the askers that match.
func (r *boardRun) leave(match func(peer.ID) bool) {
	for a := range r.askers {
		if match(a.peer) {
			delete(r.askers, a)
			a.ended = true
		}
	}
}

func (r *boardRun) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// boardAsker is a stream of a peer at a Board, and guarded by it.
type boardAsker struct {
	board *Board
	run   *boardRun
	peer  peer.ID
	tell  func([]string)
	wants map[string]struct{}
	ended bool
}

// Heard implements [Asker]. What is not shared is remembered too: the link may not have said
// so yet.
func (a *boardAsker) Heard(ask Ask) error {
	a.board.mu.Lock()
	defer a.board.mu.Unlock()
	if a.ended {
		return ErrRefused
	}
	for _, id := range ask.Got {
		delete(a.wants, id)
	}
	var have []string
	for _, id := range ask.Want {
		if _, shared := a.run.shared[id]; shared && a.board.has(id) {
			have = append(have, id)
			continue
		}
		if len(a.wants) >= maxAsked {
			return errTooMuch
		}
		a.wants[id] = struct{}{}
	}
	if len(have) > 0 {
		a.tell(have)
	}
	return nil
}

// Close implements [Asker].
func (a *boardAsker) Close() {
	a.board.mu.Lock()
	defer a.board.mu.Unlock()
	delete(a.run.askers, a)
	a.ended = true
}
