package messages

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
)

// Lease takes up to limit instructions out of a node's queue, oldest first, to offer them. They
// are the node's until the given time; zero: until they are delivered, released or given up.
func (o *Office) Lease(ctx context.Context, nodeID uint64, limit int, until time.Time) ([]state.Message, error) {
	return o.store.LeaseInstructions(ctx, nodeID, limit, until)
}

// Leased are the instructions that were offered to a node and not delivered.
func (o *Office) Leased(ctx context.Context, nodeID uint64) ([]state.Message, error) {
	return o.store.LeasedInstructions(ctx, nodeID)
}

// Release puts leased or delivered instructions back into their queue: the node does not have
// them.
func (o *Office) Release(ctx context.Context, ids []string) error {
	return o.store.Unlease(ctx, ids)
}

// Deliver records that the node has instructions on its disk. Those that are not its own, and
// those that nobody is waiting for any more, are left out.
func (o *Office) Deliver(ctx context.Context, nodeID uint64, ids []string) error {
	return o.store.MarkDelivered(ctx, nodeID, ids)
}

// Owed are the instructions of a node that have no reply, in any state, oldest first.
func (o *Office) Owed(ctx context.Context, nodeID uint64) ([]state.Message, error) {
	return o.store.UnansweredInstructions(ctx, nodeID)
}

// GiveUp drops an instruction that will not be answered, so that its ServerApp is told now and
// not at the end of the instruction's time to live.
func (o *Office) GiveUp(ctx context.Context, id, reason string) error {
	log.Warn("a message was given up", "message", id, "reason", reason)
	if err := o.store.DropMessages(ctx, []string{id}, reason); err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("drop message %s: %w", id, err)
	}
	return nil
}
