package session

import (
	"context"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// write sends one frame. A link that accepts nothing for several heartbeats is silent.
func (o *open) write(frame *sessionpb.Frame) error {
	_ = o.stream.SetWriteDeadline(time.Now().Add(missedBeats * o.beat))
	if err := o.conn.WriteFrame(frame); err != nil {
		return fmt.Errorf("write to the SuperLink: %w", err)
	}
	now := time.Now()
	o.wrote.Store(now.UnixNano())
	// In an idle session the link pings and this answers, so the timer never fires, and the process
	// wakes only when it is pinged. If the link is silent, the timer stays as it is.
	if rest := o.patience() - o.quiet(now); rest > 0 {
		o.look.Reset(rest)
	}
	return nil
}

// writeReply sends the reply to an instruction.
func (o *open) writeReply(r state.Reply) error {
	return o.write(&sessionpb.Frame{Body: &sessionpb.Frame_Reply{Reply: &sessionpb.Reply{
		Message:                 r.Message,
		Tree:                    r.Tree,
		ClientappRuntimeSeconds: r.Runtime.Seconds(),
	}}})
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
