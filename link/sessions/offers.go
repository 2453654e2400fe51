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

// push sends what is waiting for the node: cancelled runs first, then hints, then offers while
// the window has room. It sleeps until there is any of these.
func (ps *peerSession) push() error {
	watch := ps.server.cfg.Store.Bell().Watch(state.KeyNode(ps.node.ID))
	defer watch.Close()
	timer := time.NewTimer(0) // look at once
	defer timer.Stop()
	for {
		select {
		case <-ps.ctx.Done():
			return context.Cause(ps.ctx)
		case <-watch.C:
			ps.outbox.look()
		case <-ps.outbox.wake:
		case <-timer.C:
		}
		if ps.outbox.behind() {
			return errBehind
		}
		for _, frame := range ps.outbox.take() {
			if err := ps.send(frame); err != nil {
				return err
			}
		}
		if err := ps.sendNews(); err != nil {
			return err
		}
		again, err := ps.offer()
		if err != nil {
			return err
		}
		timer.Reset(again)
	}
}

// offer takes back instructions that have rested, leases new ones and offers them. It returns
// when to look again without being woken.
func (ps *peerSession) offer() (again time.Duration, err error) {
	office := ps.server.cfg.Office
	rested, next := ps.outbox.rested(time.Now())
	if len(rested) > 0 {
		if err := office.Release(ps.ctx, rested); err != nil {
			return 0, fmt.Errorf("take back declined instructions: %w", err)
		}
		ps.outbox.look()
	}
	for {
		room, due := ps.outbox.room()
		if !due {
			return next, nil
		}
		messages, err := office.Lease(ps.ctx, ps.node.ID, room, time.Time{})
		if err != nil {
			if ps.ctx.Err() != nil {
				return 0, context.Cause(ps.ctx)
			}
			log.Warn("instructions could not be leased; trying again", "node", ps.node.ID, "err", err)
			ps.outbox.look()
			return storeDelay, nil
		}
		for _, m := range messages {
			if err := ps.offerOne(m); err != nil {
				return 0, err
			}
		}
		if len(messages) == room {
			ps.outbox.look() // there may be more
		}
	}
}

func (ps *peerSession) offerOne(m state.Message) error {
	run, err := ps.server.cfg.Store.Run(ps.ctx, m.RunID)
	if err != nil {
		return fmt.Errorf("look up run %d: %w", m.RunID, err)
	}
	encoded, err := proto.Marshal(run.Proto())
	if err != nil {
		return fmt.Errorf("encode run %d: %w", m.RunID, err)
	}
	ps.outbox.offered(m.ID, m.RunID)
	shared, err := ps.enterSwarm(m)
	if err != nil {
		return err
	}
	err = ps.send(&sessionpb.Frame{Body: &sessionpb.Frame_Offer{Offer: &sessionpb.Offer{
		Message: m.Proto, Tree: m.Tree, Run: encoded, FabVerifications: run.Verifications, Shared: shared,
	}}})
	if errors.Is(err, session.ErrFrameTooLarge) {
		return ps.giveUpOffer(m.ID, "it has more objects than fit into an offer")
	}
	return err
}

// giveUpOffer drops an instruction that the node will never take, so that the ServerApp is told
// at once.
func (ps *peerSession) giveUpOffer(id, why string) error {
	if _, was := ps.outbox.settled(id); !was {
		return nil
	}
	reason := fmt.Sprintf("node %d (%s) will not take it: %s", ps.node.ID, ps.node.Name, why)
	return ps.server.cfg.Office.GiveUp(ps.ctx, id, reason)
}

// accepted records that a message is on the node's disk. A message that was not offered in this
// session is none of the node's business, or was accepted before.
func (ps *peerSession) accepted(id string) error {
	runID, was := ps.outbox.settled(id)
	if !was {
		return nil
	}
	if err := ps.server.cfg.Office.Deliver(ps.ctx, ps.node.ID, []string{id}); err != nil {
		return fmt.Errorf("record that message %s is delivered: %w", id, err)
	}
	ps.server.traffic.Keep(ps.ctx, runID)
	return nil
}

// declined lets a message rest, or gives it up if the node will never take it.
func (ps *peerSession) declined(d *sessionpb.Decline) error {
	id := d.GetMessageId()
	if !d.GetPermanent() {
		if ps.outbox.rest(id, time.Now().Add(declineDelay)) {
			log.Info("a node declined a message for now", "node", ps.node.ID, "message", id, "reason", printable.Name(d.GetDetail(), maxName))
		}
		return nil
	}
	return ps.giveUpOffer(id, printable.Name(d.GetDetail(), maxName))
}
