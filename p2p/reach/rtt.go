package reach

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multistream"
	"golang.org/x/sync/errgroup"
)

// Ping measures the round trip of each path to a peer and returns the shortest. Paths that do not
// answer before ctx ends count as an error only if none does. [Manager.Paths] shows the results.
func (m *Manager) Ping(ctx context.Context, p peer.ID) (time.Duration, error) {
	return m.prober.ping(ctx, p)
}

func (r *prober) ping(ctx context.Context, p peer.ID) (time.Duration, error) {
	conns := r.conns.ConnsToPeer(p)
	type answer struct {
		rtt time.Duration
		err error
	}
	answers := make(chan answer, len(conns))
	for _, c := range conns {
		go func() {
			rtt, err := r.pingConn(ctx, c)
			answers <- answer{rtt, err}
		}()
	}
	var best time.Duration
	err := fmt.Errorf("ping %s: not connected", p)
	for range conns {
		a := <-answers
		switch {
		case a.err == nil && (best == 0 || a.rtt < best):
			best = a.rtt
		case a.err != nil:
			err = a.err
		}
	}
	if best == 0 {
		return 0, err
	}
	return best, nil
}

// Measure brings the round trips that [Manager.Paths] shows up to date: it pings every path to
// these peers that was not measured within the last few seconds, all at once, and returns when
// they have answered, within a second. A path that does not answer keeps its old value.
func (m *Manager) Measure(ctx context.Context, peers ...peer.ID) { m.prober.measure(ctx, peers) }

func (r *prober) measure(ctx context.Context, peers []peer.ID) {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	var pings errgroup.Group
	pings.SetLimit(maxPings)
	for _, p := range peers {
		for _, c := range r.conns.ConnsToPeer(p) {
			if time.Since(r.paths.rtt(c).at) < measureAgain {
				continue
			}
			pings.Go(func() error {
				if _, err := r.pingConn(ctx, c); err != nil {
					log.Debug("round trip not measured", "peer", p, "err", err)
				}
				return nil
			})
		}
	}
	_ = pings.Wait() // they return no errors
}

// pingConn measures the round trip of one connection by libp2p's ping protocol: 32 bytes that are
// sent back. libp2p's own function would pick the connection itself.
func (r *prober) pingConn(ctx context.Context, c network.Conn) (time.Duration, error) {
	s, err := c.NewStream(network.WithAllowLimitedConn(ctx, "ping"))
	if err != nil {
		return 0, fmt.Errorf("ping %s: %w", c.RemotePeer(), err)
	}
	defer s.Reset()
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	rtt, err := pingStream(s)
	if err != nil {
		return 0, fmt.Errorf("ping %s: %w", c.RemotePeer(), errors.Join(err, ctx.Err()))
	}
	r.paths.measured(c, rtt)
	return rtt, nil
}

func pingStream(s network.Stream) (time.Duration, error) {
	if err := s.SetProtocol(ping.ID); err != nil {
		return 0, err
	}
	if err := multistream.SelectProtoOrFail(ping.ID, s); err != nil {
		return 0, err
	}
	sent := make([]byte, ping.PingSize)
	rand.Read(sent)
	start := time.Now()
	if _, err := s.Write(sent); err != nil {
		return 0, err
	}
	back := make([]byte, len(sent))
	if _, err := io.ReadFull(s, back); err != nil {
		return 0, err
	}
	if string(back) != string(sent) {
		return 0, errors.New("the answer differs from what was sent")
	}
	return max(time.Since(start), 1), nil
}
