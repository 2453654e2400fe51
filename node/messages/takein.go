package messages

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/appconfig"
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
	offer, shared, err := parse(offered, node)
	if err != nil {
		o.tell(MessageID(offered), err)
		return
	}
	if o.cfg.Shared != nil {
		o.cfg.Shared(offer.Run.ID, shared)
	}
	started := o.begin(offer.MessageID, offer.Run.ID, func(ctx context.Context) error {
		return o.take(ctx, offer)
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
func (o *Office) take(ctx context.Context, offer state.Offer) error {
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	now, err := o.cfg.Store.TakeIn(ctx, offer)
	if errors.Is(err, state.ErrOtherRun) {
		log.Warn("a message is offered for a run that is another one here", "run", offer.Run.ID, "message", offer.MessageID, "err", err)
		return fmt.Errorf("%w: %w", ErrBadOffer, err)
	}
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
	err = o.check(ctx, offer.Run.ID)
	switch {
	case errors.Is(err, ErrNotAllowed):
		return o.refuse(ctx, offer.MessageID, offer.Run.ID, err)
	case errors.Is(err, fab.ErrInvalid):
		log.Warn("app bundle is broken", "run", offer.Run.ID, "message", offer.MessageID, "err", err)
		return o.cfg.Store.Refuse(ctx, offer.MessageID, flwr.ErrorInvalidFAB, err.Error())
	case err != nil:
		return err
	}
	return o.cfg.Store.MarkComplete(ctx, offer.MessageID)
}

// check decides whether the app of a run may run here, and prepares its configuration. What
// it goes by is the run as it was stored, whatever an offer says.
func (o *Office) check(ctx context.Context, runID uint64) error {
	known, err := o.cfg.Store.Run(ctx, runID)
	if err != nil {
		return err
	}
	if err := o.mayRun(ctx, known); err != nil {
		return err
	}
	if known.Config != nil {
		return nil
	}
	run := new(flwrpb.Run)
	if err := proto.Unmarshal(known.Proto, run); err != nil {
		return fmt.Errorf("run %d: %w", runID, err)
	}
	bundle, err := o.cfg.Objects.Open(known.FABHash)
	if err != nil {
		return fmt.Errorf("open app bundle of run %d: %w", runID, err)
	}
	defer bundle.Close()
	defaults, err := appconfig.Defaults(bundle, bundle.Size())
	if err != nil {
		return fmt.Errorf("app bundle of run %d: %w", runID, err)
	}
	return o.cfg.Store.SetRunConfig(ctx, runID, appconfig.Fuse(defaults, run.GetOverrideConfig()))
}
