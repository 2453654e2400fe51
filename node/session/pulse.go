package session

import (
	"context"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// Alive says that bytes came from the link on another stream.
func (c *Client) Alive() { c.heard.Store(time.Now().UnixNano()) }

// patience is how long one side may have nothing to say before the node pings. If the link has
// few nodes, it pings with every heartbeat.
func (o *open) patience() time.Duration { return o.beat + o.beat/2 }

// quiet is how long one side has had nothing to say.
func (o *open) quiet(now time.Time) time.Duration {
	return now.Sub(time.Unix(0, min(o.heard.Load(), o.wrote.Load())))
}

// keepAlive sends a Ping when one side has had nothing to say for a while, and ends the session
// when the link is silent.
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
