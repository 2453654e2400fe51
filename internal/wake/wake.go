// Package wake lets requests wait for a change of something named, without polling.
//
// A writer calls [Bell.Ring] after it has committed a change; every [Watch] on that key
// then has a value in its channel. Rings are remembered, not counted: a watch that was
// rung a hundred times while nobody looked wakes once, so a slow waiter costs a writer
// nothing. The pattern that loses no wake-up is: first watch, then look, then wait.
//
// It is not responsible for carrying the change itself, nor for waking other processes.
package wake

import "sync"

// Key names one thing that can change, such as {"node", 17}.
type Key struct {
	Kind string
	ID   uint64
	Name string // for things that are named by a string; empty otherwise
}

// Bell connects writers and waiters. The zero value is ready; all methods may be called
// from any goroutine.
type Bell struct {
	mu      sync.Mutex
	watches map[Key]map[*Watch]struct{}
}

// Watch is one waiter's subscription to some keys.
type Watch struct {
	// C has a value when one of the keys was rung since the last receive.
	C    chan struct{}
	bell *Bell
	keys []Key
}

// Watch subscribes to keys. The caller must Close it.
func (b *Bell) Watch(keys ...Key) *Watch {
	w := &Watch{C: make(chan struct{}, 1), bell: b, keys: keys}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watches == nil {
		b.watches = make(map[Key]map[*Watch]struct{})
	}
	for _, key := range keys {
		if b.watches[key] == nil {
			b.watches[key] = make(map[*Watch]struct{})
		}
		b.watches[key][w] = struct{}{}
	}
	return w
}

// Ring wakes all watches of any of the keys.
func (b *Bell) Ring(keys ...Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		for w := range b.watches[key] {
			select {
			case w.C <- struct{}{}:
			default: // already rung and not looked at yet
			}
		}
	}
}

// Close ends the subscription. It may be called more than once.
func (w *Watch) Close() {
	w.bell.mu.Lock()
	defer w.bell.mu.Unlock()
	for _, key := range w.keys {
		delete(w.bell.watches[key], w)
		if len(w.bell.watches[key]) == 0 {
			delete(w.bell.watches, key)
		}
	}
}
