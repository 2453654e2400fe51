package session

import (
	"context"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// Leave says goodbye if nothing is owed by the node, so that the link need not wait for its
// return, and waits until the link has heard it. Without a goodbye the session continues,
// and when it ends, the link keeps the node's messages for the grace period.
func (c *Client) Leave(ctx context.Context, detail string) {
	c.mu.Lock()
	o := c.open
	c.mu.Unlock()
	if o == nil {
		return
	}
	inv, err := o.office.Inventory(ctx)
	if err != nil || len(inv.Accepted)+len(inv.Answered) > 0 {
		return
	}
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	bye := &sessionpb.Frame{Body: &sessionpb.Frame_Bye{Bye: &sessionpb.Bye{Detail: detail}}}
	if err := o.write(bye); err != nil {
		log.Debug("goodbye could not be sent", "err", err)
		return
	}
	_ = o.stream.CloseWrite()
	select {
	case <-o.ended: // the link has closed its side
	case <-ctx.Done():
	}
}
