package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// greet sends the Hello and waits for the Welcome.
func (c *Client) greet(ctx context.Context, conn *session.Conn, stream network.Stream, office Office) (*sessionpb.Welcome, error) {
	// Whatever ends from here on is reported in this session; whatever ended earlier is in the inventory.
	c.mu.Lock()
	clear(c.verdicts)
	c.mu.Unlock()
	inv, err := office.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	var addrs [][]byte
	if c.cfg.Addrs != nil && !c.cfg.DeclineSwarm {
		for _, addr := range c.cfg.Addrs() {
			addrs = append(addrs, addr.Bytes())
		}
	}
	_ = stream.SetDeadline(time.Now().Add(greetingLimit))
	err = conn.WriteFrame(&sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: &sessionpb.Hello{
		Version:       version,
		Software:      c.cfg.Software,
		Name:          c.cfg.Name,
		Location:      c.cfg.Location,
		Accepted:      inv.Accepted,
		UnsentReplies: inv.Answered,
		RunIds:        inv.RunIDs,
		Slots:         c.cfg.Slots,
		DeclineSwarm:  c.cfg.DeclineSwarm,
		Addrs:         addrs,
	}}})
	if err != nil {
		return nil, fmt.Errorf("send hello: %w", err)
	}
	frame, err := conn.ReadFrame()
	if err != nil {
		return nil, fmt.Errorf("wait for welcome: %w", err)
	}
	_ = stream.SetDeadline(time.Time{})
	switch body := frame.GetBody().(type) {
	case *sessionpb.Frame_Welcome:
		return body.Welcome, c.remember(ctx, body.Welcome)
	case *sessionpb.Frame_Refused:
		return nil, &RefusedError{Reason: body.Refused.GetReason(), Detail: body.Refused.GetDetail()}
	default:
		return nil, fmt.Errorf("wait for welcome: got %T", body)
	}
}

// remember keeps what the link says about who this node is.
func (c *Client) remember(ctx context.Context, w *sessionpb.Welcome) error {
	if w.GetNodeId() == 0 {
		return errors.New("the SuperLink assigned no node id")
	}
	id, err := c.cfg.Identities.Identity(ctx)
	if err != nil {
		return err
	}
	if id.NodeID == w.GetNodeId() && id.Federation == w.GetFederation() && id.Joined {
		return nil
	}
	if id.NodeID != 0 && id.NodeID != w.GetNodeId() {
		log.Warn("the SuperLink gave this node another id; has it lost its data?", "old", id.NodeID, "new", w.GetNodeId())
	}
	_, err = c.cfg.Identities.UpdateIdentity(ctx, func(id *state.Identity) {
		id.NodeID, id.Federation, id.Joined = w.GetNodeId(), w.GetFederation(), true
	})
	return err
}

func heartbeat(w *sessionpb.Welcome) time.Duration {
	beat := time.Duration(w.GetHeartbeatMillis()) * time.Millisecond
	if beat == 0 {
		return defaultHeartbeat
	}
	return min(max(beat, minHeartbeat), maxHeartbeat)
}
