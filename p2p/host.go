package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/transport"
)

var log = logs.For("p2p")

// Host is a libp2p host with the overlay around it. All methods may be called from any
// goroutine.
type Host struct {
	host.Host

	identity identity.Identity
	role     Role
	announce []ma.Multiaddr
	proxy    transport.Proxy

	ranker       *ranker
	intents      *Intents
	admission    *admission.Controller
	reservations *reservations
	puncher      *puncher
	traffic      *traffic
	paths        *pathBook
	events       *broadcast

	// confirmer is here for tell, which libp2p calls from goroutines of its own while NewHost has yet
	// to set Host.
	confirmer atomic.Pointer[confirmer]

	mu    sync.Mutex
	wakes map[peer.ID]map[chan struct{}]struct{}

	ctx    context.Context // ends when the host closes
	cancel context.CancelFunc
	work   sync.WaitGroup
	closed bool // guarded by mu: no more work is taken on

	closers []func() error // in the order in which they must be called
}

// NewHost makes a host that listens, and starts to reserve at its relays. The caller must
// close it. Every address of cfg.Listen must be free; that IPv6 is missing is no error
// unless it was asked for by name.
func NewHost(cfg Config) (*Host, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	h := &Host{
		identity: cfg.Identity,
		role:     cfg.Role,
		announce: cfg.Announce,
		proxy:    transport.Proxy{URL: cfg.Proxy},
		ranker:   newRanker(),
		traffic:  newTraffic(),
		paths:    newPathBook(),
		events:   newBroadcast(),
		intents:  NewIntents(cfg.Role == Hub, cfg.Relays),
		wakes:    make(map[peer.ID]map[chan struct{}]struct{}),
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for _, r := range cfg.Relays {
		h.ranker.expect(r, 1) // as long as the host is there
	}
	var err error
	if h.admission, err = admission.New(admission.Config{
		Key: cfg.Identity.Key.GetPublic(), Gate: cfg.Gate, Peers: h.intents, MaxPeers: cfg.MaxPeers, Background: h.background,
	}); err != nil {
		h.cancel()
		return nil, err
	}
	inner, err := newLibp2p(cfg, h)
	if err != nil {
		h.cancel()
		h.admission.Discard()
		return nil, err
	}
	h.Host = inner
	if err := h.start(cfg); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// start puts the lobby in its place before the first address is listened on, so that no
// stream can slip past it.
func (h *Host) start(cfg Config) error {
	sw, ok := h.Network().(admission.Network)
	if !ok {
		return fmt.Errorf("libp2p's network is a %T, which does not show its stream handler", h.Network())
	}
	h.admission.Guard(sw, h.Mux())
	h.puncher = newPuncher(h)
	h.reservations = newReservations(h)
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { h.connected(c) },
		DisconnectedF: func(_ network.Network, c network.Conn) { h.disconnected(c) },
	})

	must, may := cfg.listen()
	for _, a := range must {
		err := transport.Probe(a)
		if err == nil {
			err = h.Network().Listen(a)
		}
		if err != nil {
			return fmt.Errorf("listen on %s: %w", a, err)
		}
	}
	for _, a := range may {
		if err := h.Network().Listen(a); err != nil {
			log.Info("not listening", "addr", a, "err", err)
		}
	}
	if err := h.puncher.start(); err != nil {
		return err
	}
	if err := h.reservations.start(); err != nil {
		return err
	}
	if cfg.MDNS != "" {
		if err := h.startMDNS(cfg.MDNS); err != nil {
			return err
		}
	}
	return nil
}

// Close ends all connections, and returns when everything that the host started has ended.
// Calls of Keep should be ended before, by their contexts; they fail otherwise.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	var errs []error
	for _, c := range h.closers {
		errs = append(errs, c())
	}
	if h.puncher != nil {
		errs = append(errs, h.puncher.close())
	}
	errs = append(errs, h.Host.Close())
	h.admission.Close()
	h.work.Wait()
	h.events.close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close host: %w", err)
	}
	return nil
}

// background runs f on a goroutine that Close waits for. f is not run once the host closes.
func (h *Host) background(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.work.Go(f)
	}
}

// connected and disconnected are called by the swarm, for each connection once and in this
// order. They must not wait.
func (h *Host) connected(c network.Conn) {
	p := c.RemotePeer()
	h.paths.opened(c)
	h.admission.Arrived(c)
	h.puncher.arrived(c)
	h.wake(p)
	h.events.send(Event{Kind: PathOpened, Peer: p, Path: h.path(c)})
}

func (h *Host) disconnected(c network.Conn) {
	p := c.RemotePeer()
	path := h.path(c)
	err := admission.CloseReason(c)
	h.paths.closed(c)
	h.admission.Gone(c)
	if len(h.Network().ConnsToPeer(p)) == 0 && h.Standing(p) != admission.Member && !h.intents.IsRelay(p) {
		h.traffic.forget(p)
	}
	h.puncher.gone(c)
	h.wake(p)
	h.events.send(Event{Kind: PathClosed, Peer: p, Path: path, Err: err})
}

// Disconnect closes all connections of a peer at once, with all streams in them, and tells
// it that it is refused. The gate must refuse the peer already, so that it can not return.
func (h *Host) Disconnect(p peer.ID) {
	for _, c := range h.Network().ConnsToPeer(p) {
		c.CloseWithError(network.ConnGated)
	}
}

// HandleMembers serves a protocol for members only.
func (h *Host) HandleMembers(proto protocol.ID, handler network.StreamHandler) {
	h.SetStreamHandler(proto, h.admission.ForMembers(handler))
}

// Standing of a peer on this host.
func (h *Host) Standing(p peer.ID) admission.Standing { return h.admission.Standing(p) }

// Role of the host.
func (h *Host) Role() Role { return h.role }

// Identity of the host.
func (h *Host) Identity() identity.Identity { return h.identity }

// watch gives a channel that has a value when a connection of p came or went since the last
// receive.
func (h *Host) watch(p peer.ID) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wakes[p] == nil {
		h.wakes[p] = make(map[chan struct{}]struct{})
	}
	h.wakes[p][ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(h.wakes[p], ch); len(h.wakes[p]) == 0 {
			delete(h.wakes, p)
		}
	}
}

func (h *Host) wake(p peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.wakes[p] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
