package stock

import (
	"context"
	"errors"
	"sync"
)

// errReplaced ends the held pull of a node when it pulls again.
var errReplaced = errors.New("the node pulls again")

// holds lets each node have one pull at a time: a second one ends the first, and begins when the
// first has ended.
type holds struct {
	mu     sync.Mutex
	byNode map[uint64]*hold
}

type hold struct {
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

func newHolds() *holds { return &holds{byNode: make(map[uint64]*hold)} }

// take waits until the node has no other pull. release must be called; the returned context ends
// with errReplaced when the next pull comes.
func (h *holds) take(ctx context.Context, nodeID uint64) (_ context.Context, release func(), err error) {
	for {
		h.mu.Lock()
		before := h.byNode[nodeID]
		if before == nil {
			break
		}
		h.mu.Unlock()
		before.cancel(errReplaced)
		select {
		case <-before.ended:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	defer h.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	mine := &hold{cancel: cancel, ended: make(chan struct{})}
	h.byNode[nodeID] = mine
	return ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.byNode, nodeID)
		close(mine.ended)
		cancel(nil)
	}, nil
}

// deliveries counts how often a node was given the message that it has not confirmed. There is one
// such message per node, and nothing is remembered of others. A restart of the link begins anew,
// which is in the node's favour.
type deliveries struct {
	mu     sync.Mutex
	byNode map[uint64]delivery
}

type delivery struct {
	message string
	times   int
}

func newDeliveries() *deliveries { return &deliveries{byNode: make(map[uint64]delivery)} }

// count records a delivery and returns how many there have been of this message.
func (d *deliveries) count(nodeID uint64, message string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.byNode[nodeID]
	if now.message != message {
		now = delivery{message: message}
	}
	now.times++
	d.byNode[nodeID] = now
	return now.times
}

func (d *deliveries) forgetNode(nodeID uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byNode, nodeID)
}

// forget ends the count of a message that the node has confirmed.
func (d *deliveries) forget(nodeID uint64, message string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byNode[nodeID].message == message {
		delete(d.byNode, nodeID)
	}
}
