package reach

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// EventKind says what happened.
type EventKind int

const (
	// PathOpened: a connection to Peer is up.
	PathOpened EventKind = iota
	// PathClosed: a connection to Peer ended, because of Err if that is known.
	PathClosed
	// PathFailed: Peer could not be reached, or hole punching failed, because of Err.
	PathFailed
	// AddressesChanged: [Manager.Addresses] returns different ones now. Peer is the relay whose
	// reservation came or went.
	AddressesChanged
)

func (k EventKind) String() string {
	return [...]string{"path opened", "path closed", "path failed", "addresses changed"}[k]
}

// Event is a change that a status line or a log would report.
type Event struct {
	Kind EventKind
	Peer peer.ID
	Path Path // of PathOpened and PathClosed
	Err  error
}

// Events subscribes to events. The channel is closed by stop, or when the host closes. A
// subscriber that is too slow misses events; [Manager.Paths] always tells the truth.
func (m *Manager) Events() (events <-chan Event, stop func()) { return m.events.subscribe() }

// broadcast hands events to subscribers without ever waiting for any of them.
type broadcast struct {
	mu     sync.Mutex
	subs   map[chan Event]struct{}
	closed bool
}

func newBroadcast() *broadcast { return &broadcast{subs: make(map[chan Event]struct{})} }

func (b *broadcast) subscribe() (<-chan Event, func()) {
	ch := make(chan Event, eventBuffer)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		close(ch)
		return ch, func() {}
	}
	b.subs[ch] = struct{}{}
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, ok := b.subs[ch]; ok {
			delete(b.subs, ch)
			close(ch)
		}
	}
}

func (b *broadcast) send(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.subs {
		select {
		case ch <- e:
		default:
		}
	}
}

func (b *broadcast) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for ch := range b.subs {
		close(ch)
	}
	clear(b.subs)
}
