package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// checkRelay examines one relay with a host of its own: libp2p dials only one circuit to a peer at
// a time. It returns a way if the link answers through it; closeAll ends both.
func (s *site) checkRelay(ctx context.Context, p peer.ID, at []ma.Multiaddr) (found Relay, w *way, closeAll func()) {
	found = Relay{Peer: p}
	closeAll = func() {}
	if len(at) == 0 {
		found.Connect = skipped("none of its addresses gave a handshake")
		return found, nil, closeAll
	}
	h, err := s.host(false, 0)
	if err != nil {
		found.Connect = done(time.Now(), err)
		return found, nil, closeAll
	}
	closeAll = func() { _ = h.Close() }
	began := time.Now()
	err = h.Connect(ctx, peer.AddrInfo{ID: p, Addrs: at})
	found.Connect = done(began, err)
	if err != nil {
		return found, nil, closeAll
	}
	s.askRelay(ctx, h, &found)
	s.reserve(ctx, h, &found)
	if w = s.circuit(ctx, h, &found); w != nil {
		closeAll = func() { _ = w.Close(); _ = h.Close() }
	}
	return found, w, closeAll
}

func (s *site) askRelay(ctx context.Context, h host.Host, found *Relay) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	began := time.Now()
	standing, err := relay.Ask(ctx, h, found.Peer)
	found.Ask = done(began, err)
	if errors.Is(err, relay.ErrNotRhizome) {
		found.Ask = skipped("it is not a Rhizome relay and cannot say what it allows")
	}
	if err != nil {
		return
	}
	found.Role, found.Limits = standing.Role.String(), limitsOf(standing)
	if r := standing.Refusal; r != nil {
		found.LastRefusal = fmt.Sprintf("%s: %s", r.Reason, r.Detail)
	}
}

func limitsOf(s relay.Standing) string {
	var parts []string
	if s.BytesPerSecond > 0 {
		parts = append(parts, fmt.Sprintf("%d bytes a second", s.BytesPerSecond))
	}
	if s.Bytes > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d bytes used", s.BytesUsed, s.Bytes))
	}
	if s.Circuits > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d circuits used", s.CircuitsUsed, s.Circuits))
	}
	return strings.Join(parts, ", ")
}

// reserve tries what a node or link does that wants to be reached. The reservation is given back
// with the connection.
func (s *site) reserve(ctx context.Context, h host.Host, found *Relay) {
	switch {
	case s.temporary && s.cfg.Running:
		found.Reservation = skipped("the running daemon holds its own; a second one would get in its way")
		return
	case s.temporary || found.Role == relay.Stranger.String() && !s.cfg.OwnLink:
		found.Reservation = skipped("only members may have one, and this peer has not joined")
		return
	}
	began := time.Now()
	held, err := circuit.Reserve(ctx, h, peer.AddrInfo{ID: found.Peer})
	var refused circuit.ReservationError
	if errors.As(err, &refused) && refused.Unwrap() == nil { // its own text would print the nil
		err = fmt.Errorf("%s (%s)", refused.Reason, refused.Status)
	}
	found.Reservation = done(began, err)
	if err != nil {
		return
	}
	found.LimitedBytes = held.LimitData
	if held.LimitDuration > 0 {
		found.LimitedTime = held.LimitDuration.String()
	}
}

// circuit goes through the relay to the link.
func (s *site) circuit(ctx context.Context, h host.Host, found *Relay) *way {
	if s.cfg.OwnLink && !s.cfg.Running {
		found.Circuit = skipped("the link is not running")
		return nil
	}
	via := ma.StringCast("/p2p/" + found.Peer.String() + "/p2p-circuit")
	tpt, err := transportFor(h, via)
	if err != nil {
		found.Circuit = skipped(err.Error())
		return nil
	}
	began := time.Now()
	conn, err := tpt.Dial(network.WithAllowLimitedConn(ctx, "doctor"), via, s.cfg.Link)
	found.Circuit = done(began, err)
	if err != nil {
		return nil
	}
	heard, err := askPeer(ctx, conn.OpenStream, s.cfg.Link)
	w := &way{CapableConn: conn, asked: heard, relay: found.Peer}
	switch {
	case err == nil:
		found.Standing, found.RTT = heard.standing, millis(heard.rtt)
	case failureOf(err) == FailGated:
		found.Standing = admission.Refused.String()
	default:
		found.Circuit = done(began, err)
	}
	return w
}
