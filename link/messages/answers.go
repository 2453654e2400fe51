package messages

import (
	"context"
	"errors"
	"fmt"

	"github.com/rhizome-fl/rhizome/link/state"
)

// Answered filters the instructions of a run for those that have an answer, without reading
// the answers.
func (o *Office) Answered(ctx context.Context, runID uint64, instructionIDs []string) ([]string, error) {
	return o.store.Answered(ctx, runID, instructionIDs)
}

// Answers reads replies, or why none will come, as [state.Messages] says.
func (o *Office) Answers(ctx context.Context, runID uint64, instructionIDs []string) ([]state.Answer, error) {
	return o.store.Answers(ctx, runID, instructionIDs)
}

// Confirm ends the life of a reply and of its instruction: the ServerApp has the reply.
// Repeating it is not an error.
func (o *Office) Confirm(ctx context.Context, runID uint64, replyID string) error {
	if err := o.store.ConfirmReply(ctx, runID, replyID); err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("confirm reply %s: %w", replyID, err)
	}
	return nil
}
