package messages

import (
	"context"
	"fmt"

	"github.com/rhizome-fl/rhizome/protocol/message"
)

// TakeIn stores instructions of one run. rejected has an entry for each: nil if it was stored,
// otherwise the reason why not. missing are the objects to be sent, each once, in order.
func (o *Office) TakeIn(ctx context.Context, runID uint64, instructions []*message.Message) (rejected []error, missing []string, err error) {
	all := make([]incoming, len(instructions))
	for i, m := range instructions {
		all[i] = of(m)
	}
	return o.takeIn(ctx, runID, all)
}

func (o *Office) takeIn(ctx context.Context, runID uint64, all []incoming) (rejected []error, missing []string, err error) {
	messages, err := o.prepare(ctx, runID, all...)
	if err != nil {
		return nil, nil, err
	}
	if rejected, err = o.store.InsertInstructions(ctx, messages); err != nil {
		return nil, nil, fmt.Errorf("store instructions of run %d: %w", runID, err)
	}
	stored := make([]incoming, 0, len(all))
	for i, inc := range all {
		if rejected[i] == nil {
			stored = append(stored, inc)
		}
	}
	missing, err = o.await(ctx, runID, stored...)
	if err != nil {
		return nil, nil, err
	}
	return rejected, missing, nil
}
