package session

import (
	"context"
	"strings"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// verdict is what became of an offered message.
type verdict struct {
	declined  error // nil: accepted
	permanent bool
}

// Accept implements messages.Link.
func (c *Client) Accept(messageID string) { c.pass(messageID, verdict{}) }

// Decline implements messages.Link.
func (c *Client) Decline(messageID string, why error, permanent bool) {
	c.pass(messageID, verdict{declined: why, permanent: permanent})
}

// pass keeps a verdict until it is written. It never blocks.
func (c *Client) pass(messageID string, v verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil && v.declined != nil {
		return // the next session offers it again
	}
	c.verdicts[messageID] = v
	select {
	case c.told <- struct{}{}:
	default:
	}
}

// writeVerdicts sends an Accept or a Decline for each offer that has been settled.
func (c *Client) writeVerdicts(ctx context.Context, o *open) error {
	for {
		for id, v := range c.takeVerdicts() {
			if err := o.write(v.frame(id)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.told:
		}
	}
}

func (c *Client) takeVerdicts() map[string]verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	verdicts := c.verdicts
	c.verdicts = make(map[string]verdict)
	return verdicts
}

func (v verdict) frame(messageID string) *sessionpb.Frame {
	if v.declined == nil {
		return &sessionpb.Frame{Body: &sessionpb.Frame_Accept{Accept: &sessionpb.Accept{MessageId: messageID}}}
	}
	log.Warn("message declined", "message", messageID, "err", v.declined)
	return &sessionpb.Frame{Body: &sessionpb.Frame_Decline{Decline: &sessionpb.Decline{
		MessageId: messageID,
		Detail:    strings.ToValidUTF8(v.declined.Error(), "?"),
		Permanent: v.permanent,
	}}}
}
