package session

import (
	"context"
	"fmt"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// read handles what the link sends, in order. It never writes frames itself: two readers
// that wait for each other's writes would be stuck for ever.
func (c *Client) read(ctx context.Context, o *open) error {
	for {
		frame, err := o.conn.ReadFrame()
		if err != nil {
			return fmt.Errorf("read from the SuperLink: %w", err)
		}
		c.Alive()
		if err := c.handle(ctx, o, frame); err != nil {
			return err
		}
	}
}

func (c *Client) handle(ctx context.Context, o *open, frame *sessionpb.Frame) error {
	switch body := frame.GetBody().(type) {
	case *sessionpb.Frame_Offer:
		o.office.TakeIn(body.Offer, o.node)
	case *sessionpb.Frame_ReplyAck:
		return c.confirmed(ctx, o, body.ReplyAck)
	case *sessionpb.Frame_Cancel:
		return c.cancel(ctx, o, body.Cancel)
	case *sessionpb.Frame_Ping:
		pong := &sessionpb.Frame{Body: &sessionpb.Frame_Pong{Pong: &sessionpb.Pong{Nonce: body.Ping.GetNonce()}}}
		select {
		case o.control <- pong:
		default: // the link does not read: its own timeout will end this
		}
	case *sessionpb.Frame_Pong:
	case *sessionpb.Frame_RunHint:
		if c.cfg.Hint != nil {
			c.cfg.Hint(body.RunHint.GetAnnouncement())
		}
	case *sessionpb.Frame_Peers:
		c.cfg.Swarm.Peers(body.Peers.GetRunId(), body.Peers.GetPeers())
	case *sessionpb.Frame_Shared:
		c.cfg.Swarm.Shared(body.Shared.GetRunId(), body.Shared.GetIds())
	case *sessionpb.Frame_Refused:
		return &RefusedError{Reason: body.Refused.GetReason(), Detail: body.Refused.GetDetail()}
	case *sessionpb.Frame_Bye:
		return fmt.Errorf("%w: %s", ErrBye, body.Bye.GetDetail())
	default:
		// A newer link may say things that this node does not understand.
		log.Debug("unexpected frame", "body", fmt.Sprintf("%T", body))
	}
	return nil
}

func (c *Client) confirmed(ctx context.Context, o *open, ack *sessionpb.ReplyAck) error {
	replyID := ack.GetReplyId()
	if ack.GetDropped() {
		log.Info("the SuperLink does not want a reply", "message", ack.GetInstructionId(), "reason", ack.GetDetail())
		replyID = ""
	}
	return o.office.Confirm(ctx, ack.GetInstructionId(), replyID)
}

// cancel ends everything of a run.
func (c *Client) cancel(ctx context.Context, o *open, cancel *sessionpb.Cancel) error {
	unanswered, err := o.office.DropRun(ctx, cancel.GetRunId())
	if err != nil {
		return err
	}
	if c.cfg.Cancelled != nil {
		c.cfg.Cancelled(cancel.GetRunId())
	}
	log.Info("run has ended", "run", cancel.GetRunId(), "unanswered", unanswered, "reason", cancel.GetDetail())
	return nil
}
