package sessions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// push sends what waits for the node: cancelled runs first, then hints, then offers while
// the window has room. It sleeps until one of them appears.
func (one *peerSession) push() error {
	watch := one.server.cfg.Store.Bell().Watch(state.KeyNode(one.node.ID))
	defer watch.Close()
	timer := time.NewTimer(0) // look at once
	defer timer.Stop()
	for {
		select {
		case <-one.ctx.Done():
			return context.Cause(one.ctx)
		case <-watch.C:
			one.outbox.look()
		case <-one.outbox.wake:
		case <-timer.C:
		}
		if one.outbox.behind() {
			return errBehind
		}
		for _, frame := range one.outbox.take() {
			if err := one.send(frame); err != nil {
				return err
			}
		}
		if err := one.sendNews(); err != nil {
			return err
		}
		again, err := one.offer()
		if err != nil {
			return err
		}
		timer.Reset(again)
	}
}

// offer takes rested instructions back, leases new ones and offers them. It tells when to
// look again without being woken.
func (one *peerSession) offer() (again time.Duration, err error) {
	office := one.server.cfg.Office
	rested, next := one.outbox.rested(time.Now())
	if len(rested) > 0 {
		if err := office.Release(one.ctx, rested); err != nil {
			return 0, fmt.Errorf("take back declined instructions: %w", err)
		}
		one.outbox.look()
	}
	for {
		room, due := one.outbox.room()
		if !due {
			return next, nil
		}
		messages, err := office.Lease(one.ctx, one.node.ID, room, time.Time{})
		if err != nil {
			if one.ctx.Err() != nil {
				return 0, context.Cause(one.ctx)
			}
			log.Warn("instructions could not be leased; trying again", "node", one.node.ID, "err", err)
			one.outbox.look()
			return storeDelay, nil
		}
		for _, m := range messages {
			if err := one.offerOne(m); err != nil {
				return 0, err
			}
		}
		if len(messages) == room {
			one.outbox.look() // there may be more
		}
	}
}

func (one *peerSession) offerOne(m state.Message) error {
	run, err := one.server.cfg.Store.Run(one.ctx, m.RunID)
	if err != nil {
		return fmt.Errorf("look up run %d: %w", m.RunID, err)
	}
	encoded, err := proto.Marshal(run.Proto())
	if err != nil {
		return fmt.Errorf("encode run %d: %w", m.RunID, err)
	}
	one.outbox.offered(m.ID, m.RunID)
	shared, err := one.enterSwarm(m)
	if err != nil {
		return err
	}
	err = one.send(&sessionpb.Frame{Body: &sessionpb.Frame_Offer{Offer: &sessionpb.Offer{
		Message: m.Proto, Tree: m.Tree, Run: encoded, FabVerifications: run.Verifications, Shared: shared,
	}}})
	if errors.Is(err, session.ErrFrameTooLarge) {
		return one.giveUpOffer(m.ID, "it has more objects than fit an offer")
	}
	return err
}

// giveUpOffer drops an instruction that the node will never take, so that the ServerApp is
// told at once.
func (one *peerSession) giveUpOffer(id, why string) error {
	if _, was := one.outbox.settled(id); !was {
		return nil
	}
	reason := fmt.Sprintf("node %d (%s) does not take it: %s", one.node.ID, one.node.Name, why)
	return one.server.cfg.Office.GiveUp(one.ctx, id, reason)
}

// accepted notes that a message is on the node's disk. What was not offered in this
// session is none of the node's business, or was accepted before.
func (one *peerSession) accepted(id string) error {
	runID, was := one.outbox.settled(id)
	if !was {
		return nil
	}
	if err := one.server.cfg.Office.Deliver(one.ctx, one.node.ID, []string{id}); err != nil {
		return fmt.Errorf("note that message %s is delivered: %w", id, err)
	}
	one.server.keepTraffic(one.ctx, runID)
	return nil
}

// declined lets a message rest, or gives it up when the node will never take it.
func (one *peerSession) declined(d *sessionpb.Decline) error {
	id := d.GetMessageId()
	if !d.GetPermanent() {
		if one.outbox.rest(id, time.Now().Add(declineDelay)) {
			log.Info("a node declined a message for now", "node", one.node.ID, "message", id, "reason", printable.Name(d.GetDetail(), maxName))
		}
		return nil
	}
	return one.giveUpOffer(id, printable.Name(d.GetDetail(), maxName))
}
