package messages

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/rhizome-fl/rhizome/node/appconfig"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/fab"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// ErrBusy says that too much is under way; the message may be offered again.
var ErrBusy = errors.New("too many messages are being fetched")

// TakeIn takes in a message that is offered to this node, under the id by which the link
// knows it; [Link] is told the end. A message that is under way already is left alone.
func (o *Office) TakeIn(offered *sessionpb.Offer, node uint64) {
	offer, run, shared, err := parse(offered, node)
	if err != nil {
		o.tell(MessageID(offered), err)
		return
	}
	if o.cfg.Shared != nil {
		o.cfg.Shared(offer.Run.ID, shared)
	}
	started := o.begin(offer.MessageID, offer.Run.ID, func(ctx context.Context) error {
		return o.take(ctx, offer, run)
	}, func(err error) { o.tell(offer.MessageID, err) })
	if !started {
		o.tell(offer.MessageID, ErrBusy)
	}
}

// tell says what became of an offered message.
func (o *Office) tell(messageID string, err error) {
	if err == nil {
		o.cfg.Link.Accept(messageID)
		return
	}
	o.cfg.Link.Decline(messageID, err, errors.Is(err, ErrBadOffer))
}

// take brings one message from offered to accepted.
func (o *Office) take(ctx context.Context, offer state.Offer, run *flwrpb.Run) error {
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	now, err := o.cfg.Store.TakeIn(ctx, offer)
	if err != nil {
		return err
	}
	if now != state.Gathering {
		return nil // accepted before: the SuperLink did not hear of it
	}
	ids := append([]string{offer.Run.FABHash}, offer.ObjectIDs...)
	if err := o.fetch(ctx, Want{RunID: offer.Run.ID, IDs: ids, Offered: true}); err != nil {
		return err
	}
	err = o.check(ctx, offer.Run, run)
	switch {
	case errors.Is(err, policy.ErrNotTrusted):
		log.Warn("app is not trusted here", "run", offer.Run.ID, "message", offer.MessageID, "err", err)
		return o.cfg.Store.Refuse(ctx, offer.MessageID, flwr.ErrorInvalidFAB, policy.Reason)
	case errors.Is(err, fab.ErrInvalid):
		log.Warn("app bundle is broken", "run", offer.Run.ID, "message", offer.MessageID, "err", err)
		return o.cfg.Store.Refuse(ctx, offer.MessageID, flwr.ErrorInvalidFAB, err.Error())
	case err != nil:
		return err
	}
	return o.cfg.Store.MarkComplete(ctx, offer.MessageID)
}

// check decides whether the app of a run may run here, and prepares its configuration.
func (o *Office) check(ctx context.Context, known state.Run, run *flwrpb.Run) error {
	var digest [32]byte
	if _, err := hex.Decode(digest[:], []byte(known.FABHash)); err != nil {
		return fmt.Errorf("bundle hash: %w", err)
	}
	if err := o.cfg.Trusted.Verify(digest, known.Verifications); err != nil {
		return err
	}
	stored, err := o.cfg.Store.Run(ctx, known.ID)
	if err != nil {
		return err
	}
	if stored.Config != nil {
		return nil
	}
	bundle, err := o.cfg.Objects.Open(known.FABHash)
	if err != nil {
		return fmt.Errorf("open app bundle of run %d: %w", known.ID, err)
	}
	defer bundle.Close()
	defaults, err := appconfig.Defaults(bundle, bundle.Size())
	if err != nil {
		return fmt.Errorf("app bundle of run %d: %w", known.ID, err)
	}
	return o.cfg.Store.SetRunConfig(ctx, known.ID, appconfig.Fuse(defaults, run.GetOverrideConfig()))
}
