package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// write sends one frame. A link that takes nothing for several heartbeats is silent.
func (o *open) write(frame *sessionpb.Frame) error {
	_ = o.stream.SetWriteDeadline(time.Now().Add(missedBeats * o.beat))
	if err := o.conn.WriteFrame(frame); err != nil {
		return fmt.Errorf("write to the SuperLink: %w", err)
	}
	now := time.Now()
	o.wrote.Store(now.UnixNano())
	// In an idle session the link asks and this answers, so the timer never fires, and the process
	// wakes no more often than it is asked. With a link that is silent the timer stays as it is.
	if rest := o.patience() - o.quiet(now); rest > 0 {
		o.look.Reset(rest)
	}
	return nil
}

// patience is for how long one side may have nothing to say before the node asks: the link
// asks in every heartbeat, if it has few nodes.
func (o *open) patience() time.Duration { return o.beat + o.beat/2 }

// quiet is for how long one side has had nothing to say.
func (o *open) quiet(now time.Time) time.Duration {
	return now.Sub(time.Unix(0, min(o.heard.Load(), o.wrote.Load())))
}

// keepAlive sends a Ping when one side has had nothing to say, and ends the session when the
// link is silent.
func (o *open) keepAlive(ctx context.Context) error {
	defer o.look.Stop()
	for nonce := uint64(1); ; nonce++ {
		var now time.Time
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case now = <-o.look.C:
		}
		silence := now.Sub(time.Unix(0, o.heard.Load()))
		if silence > missedBeats*o.beat {
			return fmt.Errorf("%w for %s", ErrSilent, silence.Round(time.Millisecond))
		}
		if rest := o.patience() - o.quiet(now); rest > 0 {
			o.look.Reset(rest)
			continue
		}
		ping := &sessionpb.Frame{Body: &sessionpb.Frame_Ping{Ping: &sessionpb.Ping{Nonce: nonce}}}
		if err := o.write(ping); err != nil {
			return err
		}
		o.look.Reset(o.beat)
	}
}

func (c *Client) writeControl(ctx context.Context, o *open) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case frame := <-o.control:
			if err := o.write(frame); err != nil {
				return err
			}
		}
	}
}

// Offered is told how the intake of a message ended; it is what [intake.Config].Done calls.
func (c *Client) Offered(messageID string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil && err != nil {
		return // the next session offers it again
	}
	c.results[messageID] = err
	select {
	case c.told <- struct{}{}:
	default:
	}
}

// writeResults sends an Accept or a Decline for each offer that came to an end.
func (c *Client) writeResults(ctx context.Context, o *open) error {
	for {
		for id, err := range c.takeResults() {
			if werr := o.write(resultFrame(id, err)); werr != nil {
				return werr
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.told:
		}
	}
}

func (c *Client) takeResults() map[string]error {
	c.mu.Lock()
	defer c.mu.Unlock()
	results := c.results
	c.results = make(map[string]error)
	return results
}

func resultFrame(messageID string, err error) *sessionpb.Frame {
	if err == nil {
		return &sessionpb.Frame{Body: &sessionpb.Frame_Accept{Accept: &sessionpb.Accept{MessageId: messageID}}}
	}
	log.Warnw("message is declined", "message", messageID, "err", err)
	return &sessionpb.Frame{Body: &sessionpb.Frame_Decline{Decline: &sessionpb.Decline{
		MessageId: messageID,
		Detail:    strings.ToValidUTF8(err.Error(), "?"),
		Permanent: errors.Is(err, messages.ErrBadOffer),
	}}}
}

// writeReplies sends answers in the order in which they came to be, and again after a
// while if they are not acknowledged.
func (c *Client) writeReplies(ctx context.Context, o *open) error {
	watch := c.cfg.Store.Bell().Watch(state.KeyReplies())
	defer watch.Close()
	var after int64
	for {
		replies, last, err := c.cfg.Store.UnsentReplies(ctx, after, replyBatch)
		if err != nil {
			return err
		}
		for _, r := range replies {
			frame := &sessionpb.Frame{Body: &sessionpb.Frame_Reply{Reply: &sessionpb.Reply{
				Message:                 r.Message,
				Tree:                    r.Tree,
				ClientappRuntimeSeconds: r.Runtime.Seconds(),
			}}}
			if err := o.write(frame); err != nil {
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

// resend fires when answers that were sent should be looked at again; never if none were.
func resend(after int64) <-chan time.Time {
	if after == 0 {
		return nil
	}
	return time.After(resendAfter)
}
