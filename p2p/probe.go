package p2p

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
)

// silence gives a channel that has a value when a relay, which carries this host's traffic,
// has died without a word: its process killed behind QUIC, its line cut, a NAT mapping
// gone. The transports take 26 to 41 s to find out. It ends with ctx.
func (h *Host) silence(ctx context.Context, relay peer.ID) <-chan error {
	dead := make(chan error, 1)
	h.background(func() {
		for sleep(ctx, relayProbe, nil) {
			if err := h.lives(ctx, relay, relayProbeTimeout); err != nil && ctx.Err() == nil {
				dead <- err
				return
			}
		}
	})
	return dead
}

// lives tells whether a connected peer is there: it answers a ping in time, or something else
// comes from it meanwhile. On a line that is full a ping may take long; slow is not dead.
func (h *Host) lives(ctx context.Context, p peer.ID, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	before := h.traffic.of(p).in.Load()
	_, err := h.Ping(ctx, p)
	switch {
	case err == nil, errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}), h.traffic.of(p).in.Load() > before:
		return nil
	}
	return fmt.Errorf("relay does not answer: %w", err)
}
