package reach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// reservations keeps a reservation at each relay of the host. It takes the place of libp2p's
// autorelay, which waits an hour after a refusal, probes nothing, and does not say why.
//
//	        ┌── refused, unreachable: pause ──┐
//	        ▼                                 │
//	   connecting ──────► reserving ──────────┘
//	        ▲                 │ granted
//	        │                 ▼
//	        └── lost ──── holding ──┐ renewed in time
//	(connection closed,       ▲     │
//	 probe not answered)      └─────┘
type reservations struct {
	host       host.Host
	relays     map[peer.ID]peer.AddrInfo
	aliases    func([]ma.Multiaddr) []ma.Multiaddr
	prober     *prober
	bell       *wake.Bell
	failed     func(peer.ID, error)
	changed    func(relay peer.ID) // the reservation at a relay came or went
	background func(func())
	ctx        context.Context
	emit       event.Emitter

	mu   sync.Mutex
	live map[peer.ID]*circuit.Reservation
}

func newReservations(m *Manager) *reservations {
	return &reservations{
		host: m.host, relays: m.intents.relays, aliases: m.aliases, prober: m.prober, bell: &m.bell, failed: m.failed,
		changed:    func(relay peer.ID) { m.events.send(Event{Kind: AddressesChanged, Peer: relay}) },
		background: m.background, ctx: m.ctx, live: make(map[peer.ID]*circuit.Reservation),
	}
}

func (r *reservations) start() error {
	var err error
	// From this event the host takes the circuits that it announces.
	r.emit, err = r.host.EventBus().Emitter(new(event.EvtAutoRelayAddrsUpdated), eventbus.Stateful)
	if err != nil {
		return fmt.Errorf("announce circuits: %w", err)
	}
	for _, relay := range r.relays {
		r.background(func() { r.keep(r.ctx, relay) })
	}
	return nil
}

// keep holds a reservation until ctx ends.
func (r *reservations) keep(ctx context.Context, relay peer.AddrInfo) {
	pause := retry.Between(firstBackoff, reserveMaxBackoff)
	for {
		began := time.Now()
		held, err := r.reserve(ctx, relay)
		reserved := err == nil
		if reserved {
			pause.Reset()
			r.set(relay.ID, held)
			log.Info("reserved at relay", "relay", relay.ID, "until", held.Expiration)
			err = r.hold(ctx, relay, held)
		}
		ended := ctx.Err() != nil
		if !ended {
			log.Info("no reservation at relay", "relay", relay.ID, "err", err)
			r.failed(relay.ID, err)
		}
		if reserved {
			r.set(relay.ID, nil) // last, so that whoever misses the address can ask why
		}
		if ended {
			return
		}
		if !retry.Sleep(ctx, pause.Next()-time.Since(began)) {
			return
		}
	}
}

func (r *reservations) reserve(ctx context.Context, relay peer.AddrInfo) (*circuit.Reservation, error) {
	ctx, cancel := context.WithTimeout(ctx, reserveTimeout)
	defer cancel()
	clearBackoff(r.host.Network(), relay.ID)
	relay.Addrs = r.aliases(relay.Addrs)
	if err := r.host.Connect(ctx, relay); err != nil {
		return nil, fmt.Errorf("connect to relay %s: %w", relay.ID, err)
	}
	r.host.ConnManager().Protect(relay.ID, "relay")
	held, err := circuit.Reserve(ctx, r.host, peer.AddrInfo{ID: relay.ID})
	if err != nil {
		var refused circuit.ReservationError
		if errors.As(err, &refused) && refused.Unwrap() == nil { // its own text would print the nil
			return nil, fmt.Errorf("reserve at relay %s: %s (%s)", relay.ID, refused.Reason, refused.Status)
		}
		return nil, fmt.Errorf("reserve at relay %s: %w", relay.ID, err)
	}
	return held, nil
}

// hold renews and probes, and returns when the reservation is gone.
func (r *reservations) hold(ctx context.Context, relay peer.AddrInfo, held *circuit.Reservation) error {
	changed := r.bell.Watch(peerKey(relay.ID))
	defer changed.Close()
	holding, released := context.WithCancel(ctx)
	defer released()
	dead := r.prober.silence(holding, relay.ID)
	renew := time.NewTimer(renewIn(held))
	defer renew.Stop()
	for {
		// A relay drops a reservation with its connection, and a new connection would be a
		// stranger to it.
		if r.host.Network().Connectedness(relay.ID) != network.Connected {
			return fmt.Errorf("relay %s closed the connection", relay.ID)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed.C:
		case <-renew.C:
			next, err := r.reserve(ctx, relay)
			if err != nil {
				return err
			}
			r.set(relay.ID, next)
			renew.Reset(renewIn(next))
		case err := <-dead:
			r.host.Network().ClosePeer(relay.ID)
			return err
		}
	}
}

// renewIn leaves time to try again, even for short reservations.
func renewIn(held *circuit.Reservation) time.Duration {
	left := time.Until(held.Expiration)
	return max(left-reservationSlack, left/2, renewLeast)
}

func (r *reservations) set(relay peer.ID, held *circuit.Reservation) {
	r.mu.Lock()
	if held == nil {
		delete(r.live, relay)
	} else {
		r.live[relay] = held
	}
	r.mu.Unlock()
	if err := r.emit.Emit(event.EvtAutoRelayAddrsUpdated{RelayAddrs: r.circuits()}); err != nil {
		log.Debug("announce circuits", "err", err) // the host is closing
	}
	r.changed(relay)
}

// circuits returns the addresses through all relays that hold a reservation: by the addresses of
// the relay that the user named, and by those that the relay vouches for.
func (r *reservations) circuits() []ma.Multiaddr {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []ma.Multiaddr
	for id, held := range r.live {
		named := r.relays[id].Addrs
		var vouched []ma.Multiaddr
		for _, a := range held.Addrs {
			if bare, last := ma.SplitLast(a); last != nil && last.Protocol().Code == ma.P_P2P {
				a = bare
			}
			if a != nil && !ma.Contains(named, a) {
				vouched = append(vouched, a)
			}
		}
		// A relay that names many addresses, or other hosts', must not crowd out those that are
		// known.
		addrs := slices.Concat(named, ma.Unique(vouched))
		for _, a := range addrs[:min(len(addrs), max(maxRelayAddresses, len(named)))] {
			if !addr.IsCircuit(a) {
				all = append(all, addr.Circuit(id, a))
			}
		}
	}
	all = ma.Unique(all)
	slices.SortFunc(all, ma.Multiaddr.Compare)
	return all
}

// clearBackoff makes the swarm retry addresses that have just failed.
func clearBackoff(of network.Network, p peer.ID) {
	if sw, ok := of.(interface{ Backoff() *swarmBackoff }); ok {
		sw.Backoff().Clear(p)
	}
}
