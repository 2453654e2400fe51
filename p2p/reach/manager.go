package reach

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/p2p/admission"
)

var log = logs.For("p2p/reach")

// Target is a peer and the addresses that it may be at, direct and through relays.
type Target struct {
	Peer  peer.ID
	Addrs []ma.Multiaddr // without the final /p2p/
}

// Config of a [Manager].
type Config struct {
	Intents *Intents
	// Standing returns what a peer may do on this host.
	Standing func(peer.ID) admission.Standing
	// Aliases adds other names under which the transports dial the same addresses.
	Aliases func([]ma.Multiaddr) []ma.Multiaddr
	// Announce replaces the addresses that others are told; circuits at relays are announced
	// anyway.
	Announce []ma.Multiaddr
	// Reticent hosts announce no public address that AutoNAT has not confirmed.
	Reticent bool
	// MDNS, if not empty, names the service by which hosts on one LAN find each other.
	MDNS string
	// Background runs a function on a goroutine that is waited for when the host closes.
	Background func(func())
}

// Manager reaches peers for one host. It is made before the host, which takes parts of it
// ([Manager.Rank], [Manager.Traffic], [Manager.Tell]); it learns of the host by [Manager.Attach],
// and is put to work by [Manager.Start] once the host listens. All methods may be called from any
// goroutine.
type Manager struct {
	intents    *Intents
	standing   func(peer.ID) admission.Standing
	aliases    func([]ma.Multiaddr) []ma.Multiaddr
	announce   []ma.Multiaddr
	reticent   bool
	mdns       string
	background func(func())
	ctx        context.Context // ends when the host closes

	ranker  *ranker
	traffic *traffic
	paths   *pathBook
	events  *broadcast
	bell    wake.Bell // of peers whose connections came or went

	// confirmer is here for Tell, which libp2p calls from goroutines of its own before it has
	// given us the host.
	confirmer atomic.Pointer[confirmer]

	host         host.Host // this and what follows are set by Attach
	prober       *prober
	reservations *reservations
	puncher      *puncher
	closers      []func() error // in the order in which they must be called
}

// New makes the manager of a host that has yet to be made. Everything it does ends with ctx.
func New(ctx context.Context, cfg Config) *Manager {
	m := &Manager{
		intents: cfg.Intents, standing: cfg.Standing, aliases: cfg.Aliases, announce: cfg.Announce,
		reticent: cfg.Reticent, mdns: cfg.MDNS, background: cfg.Background, ctx: ctx,
		ranker: newRanker(), traffic: newTraffic(), paths: newPathBook(), events: newBroadcast(),
	}
	for _, r := range m.intents.relays {
		m.ranker.expect(r, 1) // as long as the host is there
	}
	return m
}

// Rank is libp2p's dial ranker for the host.
func (m *Manager) Rank(addrs []ma.Multiaddr) []network.AddrDelay { return m.ranker.rank(addrs) }

// Traffic is libp2p's counter of bytes for the host.
func (m *Manager) Traffic() metrics.Reporter { return m.traffic }

// LeftTo returns the counter of the bytes that the kernel has taken for TCP connections to the
// peer itself. Whoever writes to such a connection counts them.
func (m *Manager) LeftTo(p peer.ID) *atomic.Int64 { return &m.traffic.of(p).left }

// Attach gives the manager its host, before the host listens.
func (m *Manager) Attach(h host.Host) {
	m.host = h
	if confirmer, ok := h.(confirmer); ok {
		m.confirmer.Store(&confirmer)
	}
	m.prober = &prober{conns: h.Network(), traffic: m.traffic, paths: m.paths, background: m.background}
	m.puncher = newPuncher(m)
	m.reservations = newReservations(m)
}

// Start begins to punch holes, to reserve at the relays, and to look around on the LAN.
func (m *Manager) Start() error {
	if err := m.puncher.start(); err != nil {
		return err
	}
	if err := m.reservations.start(); err != nil {
		return err
	}
	m.closers = append(m.closers, m.reservations.emit.Close)
	if m.mdns != "" {
		return m.startMDNS(m.mdns)
	}
	return nil
}

// Stop ends everything that needs the host. The context of New must have ended first.
func (m *Manager) Stop() error {
	var errs []error
	for _, c := range m.closers {
		errs = append(errs, c())
	}
	if m.puncher != nil {
		errs = append(errs, m.puncher.close())
	}
	return errors.Join(errs...)
}

// Close ends all subscriptions to events. Nothing may be left that sends any.
func (m *Manager) Close() { m.events.close() }

// Opened must be called when the network has announced that a connection came, and Closed when it
// went, for each once and in this order. They do not wait.
func (m *Manager) Opened(c network.Conn) {
	p := c.RemotePeer()
	m.paths.opened(c)
	m.puncher.arrived(c)
	m.bell.Ring(peerKey(p))
	m.events.send(Event{Kind: PathOpened, Peer: p, Path: m.path(c)})
}

// Closed forgets a connection, and reports why it ended.
func (m *Manager) Closed(c network.Conn) {
	p := c.RemotePeer()
	path := m.path(c)
	err := admission.CloseReason(c)
	m.paths.closed(c)
	if len(m.host.Network().ConnsToPeer(p)) == 0 && m.standing(p) != admission.Member && !m.intents.IsRelay(p) {
		m.traffic.forget(p)
	}
	m.puncher.gone(c)
	m.bell.Ring(peerKey(p))
	m.events.send(Event{Kind: PathClosed, Peer: p, Path: path, Err: err})
}

// peerKey is rung when a connection of a peer comes or goes.
func peerKey(p peer.ID) wake.Key { return wake.Key{Kind: "peer", Name: string(p)} }

// failed records and reports that a peer could not be reached.
func (m *Manager) failed(p peer.ID, err error) {
	m.paths.fail(p, err)
	m.events.send(Event{Kind: PathFailed, Peer: p, Err: err})
}
