package session

import (
	"time"

	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// Status says how the session is doing.
type Status struct {
	Open bool `json:"open"`
	// Since is when the session opened, or when the last one ended.
	Since time.Time `json:"since,omitzero"`
	// LastFailure is why the last session ended; it stays when a new one opens.
	LastFailure string    `json:"last_failure,omitempty"`
	FailedAt    time.Time `json:"failed_at,omitzero"`
	// Relays are those through which the link said it can be reached, as multiaddrs.
	Relays []string `json:"relays,omitempty"`
	// Grace is how long the link waits for this node while it is away.
	Grace time.Duration `json:"grace_ns"`
	// Heard is when the link last showed a sign of life.
	Heard time.Time `json:"heard,omitzero"`
}

// Status says how the session is doing.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	if at := c.heard.Load(); at != 0 {
		s.Heard = time.Unix(0, at)
	}
	return s
}

func (c *Client) opened(o *open, w *sessionpb.Welcome) {
	c.Alive()
	o.wrote.Store(time.Now().UnixNano())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = o
	c.status.Open, c.status.Since = true, time.Now()
	c.status.Relays = w.GetRelays()
	c.status.Grace = time.Duration(w.GetGraceMillis()) * time.Millisecond
}

// ended records the end of a session and returns its reason in the form meant for callers.
func (c *Client) ended(err error) error {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil {
		c.status.Since = now
		close(c.open.ended)
	}
	c.open, c.status.Open = nil, false
	if c.left {
		return ErrLeft
	}
	if err != nil {
		c.status.LastFailure, c.status.FailedAt = err.Error(), now
		log.Info("session has ended", "reason", err)
	}
	return err
}
