package reach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/admission"
)

// ErrBetterPath is the cause by which the context of a serve function ends when a direct
// connection has come up beside the relayed one that it runs on.
var ErrBetterPath = errors.New("a direct path is open")

// Permanent marks an error of a serve function as one that no retry will mend.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

// Keep holds a stream to a peer for as long as ctx lasts: it connects, opens a stream of
// protocol proto, calls serve with it, and starts anew after whatever ends that.
//
//	          all addresses at once             stream open
//	dialling ───────────────────────► opening ──────────────► serving
//	 ▲    ▲                              │                    │     │
//	 │    └── pause, doubling to 10 s ───┴──── failed ◄───────┘     │
//	 │                                     (connection closed)      │
//	 └──── at once, connections stay ◄── ErrBetterPath ─────────────┘
//
// serve owns the stream until it returns, and must return soon after its context ends. That
// happens when ctx ends, with cause [ErrBetterPath], and when the path is found dead; 5 s later
// the stream's deadline expires. Whether the other side is alive is for serve to find out. It
// returns an error if not, and the connection is closed. Bytes that serve has not seen
// acknowledged by the peer may be lost.
//
// Meanwhile the target counts as a member on this host. Keep returns the cause of ctx; or, if
// serve returned a [Permanent] error, that error; or [admission.ErrRefused], when the peer refused
// three times without ever letting this host in; or an error if the host closes.
func (m *Manager) Keep(ctx context.Context, t Target, proto protocol.ID, serve func(context.Context, network.Stream) error) error {
	m.intents.count(m.intents.kept, t.Peer, 1)
	defer m.intents.count(m.intents.kept, t.Peer, -1)
	m.host.ConnManager().Protect(t.Peer, "kept")
	defer m.host.ConnManager().Unprotect(t.Peer, "kept")

	ctx, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(m.ctx, func() { cancel(errors.New("the host is closed")) })()
	k := &keeper{m: m, proto: proto, serve: serve, dial: newDialer(m, t)}
	defer k.dial.close()
	defer cancel(nil)
	return k.run(ctx)
}

type keeper struct {
	m     *Manager
	proto protocol.ID
	serve func(context.Context, network.Stream) error
	dial  *dialer
}

func (k *keeper) run(ctx context.Context) error {
	p := k.dial.target.Peer
	pause := retry.Between(firstBackoff, maxBackoff)
	refusals := 0
	for {
		began := time.Now()
		served, err := k.once(ctx)
		var final *permanent
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &final):
			return final.err
		case errors.Is(err, ErrBetterPath):
			pause.Reset()
			continue
		case errors.Is(err, admission.ErrRefused):
			if refusals++; refusals >= refusalsToGiveUp {
				return err
			}
		case served > 0: // it was let in; any other failure may be a refusal that got lost
			refusals = 0
		}
		log.Info("path lost", "peer", p, "protocol", k.proto, "err", err)
		k.m.failed(p, err)
		if served > stableAfter {
			pause.Reset()
		}
		// A round that took long was a pause in itself.
		if !retry.Sleep(ctx, pause.Next()-(time.Since(began)-served)) {
			return context.Cause(ctx)
		}
	}
}

// once is one round; it returns how long serve ran.
func (k *keeper) once(ctx context.Context) (served time.Duration, err error) {
	c, err := k.connect(ctx)
	if err != nil {
		return 0, err
	}
	opened, err := k.m.open(ctx, c, k.proto)
	if err != nil {
		if ctx.Err() == nil {
			c.Close() // it could not carry a single stream
		}
		return 0, err
	}
	s := hear(opened)
	serving, end := context.WithCancelCause(ctx)
	defer end(nil)
	// A serve function that ignores its context is stopped through its stream.
	stopGrace := context.AfterFunc(serving, func() { s.SetDeadline(time.Now().Add(serveGrace)) })
	k.dial.work.Go(func() { k.watch(serving, s, end) })

	began, here := time.Now(), interfaceAddrs()
	err = k.serve(serving, s)
	served = time.Since(began)
	better := errors.Is(context.Cause(serving), ErrBetterPath)
	stopGrace()
	end(nil)

	if err == nil {
		s.Close()
		err = errors.New("the stream ended")
	} else {
		s.Reset()
	}
	var final *permanent
	switch {
	case errors.As(err, &final), ctx.Err() != nil:
		return served, err
	case better:
		return served, ErrBetterPath
	}
	err = admission.Refusal(k.m.host.Peerstore(), s.Conn(), k.proto, err)
	k.dial.blames(addr.RelayOf(s.Conn()))
	s.Conn().Close()
	if !slices.Equal(here, interfaceAddrs()) {
		k.dial.forgetOldPaths()
	}
	return served, fmt.Errorf("%s with %s: %w", k.proto, k.dial.target.Peer, err)
}

// connect returns a connection that was already there and is alive, or a new one.
func (k *keeper) connect(ctx context.Context) (network.Conn, error) {
	conns := k.m.host.Network().ConnsToPeer(k.dial.target.Peer)
	alive := make(chan network.Conn, len(conns))
	for _, c := range conns {
		k.dial.work.Go(func() {
			pinging, cancel := context.WithTimeout(ctx, aliveTimeout)
			defer cancel()
			if _, err := k.m.prober.pingConn(pinging, c); err != nil {
				if ctx.Err() == nil {
					c.Close()
				}
				c = nil
			}
			alive <- c
		})
	}
	for range conns {
		if c := <-alive; c != nil {
			return c, nil
		}
	}
	return k.dial.reach(ctx)
}

// watch improves the path that serve runs on, until serving ends. On a relayed path it waits for a
// direct one to appear, by hole punching or by its own attempts, and then ends serving; on a
// direct path it closes relayed ones that nothing uses any longer. It also notices when the path
// or the relay has died, and ends serving for that.
func (k *keeper) watch(serving context.Context, s *heardStream, end context.CancelCauseFunc) {
	c := s.Conn()
	p := c.RemotePeer()
	changed := k.m.bell.Watch(peerKey(p))
	defer changed.Close()
	k.dial.work.Go(func() { k.measure(serving, c) })
	relayed := addr.Relayed(c)
	first, every := firstDirectRetry, punchRetry
	if !relayed {
		first, every = relayedLinger, relayedLinger
	}
	timer := time.NewTimer(first)
	defer timer.Stop()
	var stalled <-chan error
	if !k.m.intents.IsRelay(p) { // the reservation looks after those
		stalled = k.m.prober.stalled(serving, s)
	}
	var dead <-chan error // the relay
	if relayed {
		dead = k.m.prober.silence(serving, addr.RelayOf(c))
	}
	for {
		if relayed && hasDirect(k.m.host.Network(), p) {
			end(ErrBetterPath)
			return
		}
		select {
		case <-serving.Done():
			return
		case <-changed.C:
		case err := <-dead:
			log.Info("relay lost", "relay", addr.RelayOf(c), "err", err)
			k.m.host.Network().ClosePeer(addr.RelayOf(c))
		case err := <-stalled:
			end(err)
			k.dial.forgetOldPaths()
			return
		case <-timer.C:
			timer.Reset(every)
			if relayed {
				k.dial.work.Go(func() { k.retryDirect(serving) })
			} else {
				closeIdleCircuits(k.m.host.Network(), p)
			}
		}
	}
}

// measure makes sure that the round trip is known before anybody asks for it.
func (k *keeper) measure(serving context.Context, c network.Conn) {
	ctx, cancel := context.WithTimeout(serving, pathProbeTimeout)
	defer cancel()
	if _, err := k.m.prober.pingConn(ctx, c); err != nil {
		log.Debug("round trip not measured", "peer", c.RemotePeer(), "err", err)
	}
}

// retryDirect tries the direct addresses once more, and those that the peer has announced since;
// success shows as a change of connections.
func (k *keeper) retryDirect(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	if direct, _ := k.dial.split(); len(direct) == 0 {
		return
	}
	if _, err := k.dial.direct(ctx); err != nil {
		log.Debug("still no direct path", "peer", k.dial.target.Peer, "err", err)
	}
}

func hasDirect(to connections, p peer.ID) bool {
	for _, c := range to.ConnsToPeer(p) {
		if !addr.Relayed(c) && !c.IsClosed() {
			return true
		}
	}
	return false
}

// closeIdleCircuits gives back what relays hold for peers that now have a better path.
func closeIdleCircuits(to connections, p peer.ID) {
	for _, c := range to.ConnsToPeer(p) {
		if addr.Relayed(c) && len(c.GetStreams()) == 0 {
			c.Close()
		}
	}
}
