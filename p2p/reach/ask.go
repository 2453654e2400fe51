package reach

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/p2p/admission"
)

// Ask goes to a peer for one question: it connects, opens a stream of protocol proto, calls ask
// with it, and then closes all connections to the peer unless a [Manager.Keep] wants them: they
// were made while the peer still saw this host as a stranger, and its answer may change that.
//
// Ask tries again until ask returns nil or a [Permanent] error, the peer refuses
// ([admission.ErrRefused]) or does not know the protocol ([multistream.ErrNotSupported]), or ctx
// ends. The stream is reset when ask has returned or ctx ends.
func (m *Manager) Ask(ctx context.Context, t Target, proto protocol.ID, ask func(network.Stream) error) error {
	d := newDialer(m, t)
	m.intents.count(m.intents.joins, t.Peer, 1)
	defer m.intents.count(m.intents.joins, t.Peer, -1)
	ctx, cancel := context.WithCancel(ctx)
	defer d.close()
	defer cancel()
	pause := retry.Between(firstBackoff, maxBackoff)
	for {
		err := d.ask(ctx, proto, ask)
		if !m.intents.Keeps(t.Peer) {
			m.host.Network().ClosePeer(t.Peer)
		}
		var final *permanent
		switch {
		case err == nil:
			return nil
		case errors.As(err, &final):
			return final.err
		case errors.Is(err, admission.ErrRefused), errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}):
			return err
		}
		m.failed(t.Peer, err)
		log.Info("asked in vain", "peer", t.Peer, "protocol", proto, "err", err)
		if !retry.Sleep(ctx, pause.Next()) {
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
	}
}

// ask makes one attempt.
func (d *dialer) ask(ctx context.Context, proto protocol.ID, ask func(network.Stream) error) error {
	c, err := d.reach(ctx)
	if err != nil {
		return err
	}
	s, err := d.m.open(ctx, c, proto)
	if err != nil {
		return err
	}
	defer s.Reset()
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	err = ask(s)
	var final *permanent
	if err == nil || errors.As(err, &final) {
		return err
	}
	return admission.Refusal(d.m.host.Peerstore(), c, proto, err)
}

// Dial opens a stream of a protocol to a peer. It uses an existing connection, relayed or direct,
// or makes one to addresses that are known.
func (m *Manager) Dial(ctx context.Context, p peer.ID, proto protocol.ID) (network.Stream, error) {
	ctx = network.WithAllowLimitedConn(ctx, "dial")
	began := time.Now()
	s, err := m.host.NewStream(ctx, p, proto)
	if errors.As(err, new(*swarm.DialError)) && time.Since(began) < dialAgainWithin {
		// libp2p lets a dial through a relay fail while an earlier, abandoned one is still coming
		// to its end.
		s, err = m.host.NewStream(ctx, p, proto)
	}
	if err != nil {
		for _, c := range m.host.Network().ConnsToPeer(p) {
			err = admission.Refusal(m.host.Peerstore(), c, proto, err)
		}
		return nil, fmt.Errorf("open %s to %s: %w", proto, p, err)
	}
	return s, nil
}
