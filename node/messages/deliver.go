package messages

import (
	"context"
	"time"

	"github.com/rhizome-fl/rhizome/node/state"
)

// Deliver passes every reply that the SuperLink has not confirmed to send, in the order in
// which the messages were answered, and again after a while if it is still not confirmed.
// It ends with ctx, or with the first error of send. Each session has one Deliver.
func (o *Office) Deliver(ctx context.Context, send func(state.Reply) error) error {
	watch := o.cfg.Store.Bell().Watch(state.KeyReplies())
	defer watch.Close()
	var after int64
	for {
		replies, last, err := o.cfg.Store.UnconfirmedReplies(ctx, after, replyBatch)
		if err != nil {
			return err
		}
		for _, r := range replies {
			if err := send(r); err != nil {
				return err
			}
		}
		after = last
		if len(replies) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-watch.C:
		case <-resend(after):
			after = 0
		}
	}
}

// resend fires when replies that were sent should be looked at again; never if none were sent.
func resend(after int64) <-chan time.Time {
	if after == 0 {
		return nil
	}
	return time.After(resendAfter)
}

// Confirm forgets the reply to an instruction, because the SuperLink has stored it or does
// not want it (in that case replyID is empty).
func (o *Office) Confirm(ctx context.Context, instructionID, replyID string) error {
	return o.cfg.Store.Confirm(ctx, instructionID, replyID)
}
