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
	"github.com/rhizome-fl/rhizome/p2p/addr"
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
	gate     Gate
	announce []ma.Multiaddr
	relays   map[peer.ID]peer.AddrInfo // constant
	proxy    transport.Proxy

	ranker       *ranker
	lobby        *lobby
	reservations *reservations
	puncher      *puncher
	traffic      *traffic
	paths        *pathBook
	events       *broadcast

	// confirmer is here for tell, which libp2p calls from goroutines of its own while NewHost has yet
	// to set Host.
	confirmer atomic.Pointer[confirmer]

	mu    sync.Mutex
	kept  map[peer.ID]int // targets of Keep, by how many
	known map[peer.ID]int // those and of Join, and relays on the way, by how many
	joins map[peer.ID]int // targets of Join, by how many
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
		gate:     cfg.Gate,
		announce: cfg.Announce,
		proxy:    transport.Proxy{URL: cfg.Proxy},
		relays:   make(map[peer.ID]peer.AddrInfo),
		ranker:   newRanker(),
		traffic:  newTraffic(),
		paths:    newPathBook(),
		events:   newBroadcast(),
		kept:     make(map[peer.ID]int),
		known:    make(map[peer.ID]int),
		joins:    make(map[peer.ID]int),
		wakes:    make(map[peer.ID]map[chan struct{}]struct{}),
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for _, r := range cfg.Relays {
		known := h.relays[r.ID]
		h.relays[r.ID] = peer.AddrInfo{ID: r.ID, Addrs: append(known.Addrs, r.Addrs...)}
		h.ranker.expect(r, 1) // as long as the host is there
	}
	inner, err := newLibp2p(cfg, h)
	if err != nil {
		h.cancel()
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
	sw, ok := h.Network().(interface{ StreamHandler() network.StreamHandler })
	if !ok {
		return fmt.Errorf("libp2p's network is a %T, which does not show its stream handler", h.Network())
	}
	h.lobby = newLobby(h, sw.StreamHandler())
	h.Network().SetStreamHandler(h.lobby.handle)
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
	if h.lobby != nil {
		h.lobby.close()
	}
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
	if h.Standing(p) == Member {
		h.ConnManager().Protect(p, "member")
	}
	h.paths.opened(c)
	h.lobby.arrived(c)
	h.puncher.arrived(c)
	h.wake(p)
	h.events.send(Event{Kind: PathOpened, Peer: p, Path: h.path(c)})
}

func (h *Host) disconnected(c network.Conn) {
	p := c.RemotePeer()
	path := h.path(c)
	err := closeReason(c)
	h.paths.closed(c)
	h.lobby.gone(c)
	if len(h.Network().ConnsToPeer(p)) == 0 {
		h.ConnManager().Unprotect(p, "member")
		if h.Standing(p) != Member && !h.isRelay(p) {
			h.traffic.forget(p)
		}
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

// HandleMembers serves a protocol for members. Streams of others are reset: by the lobby,
// and again here, since a standing may have changed in between.
func (h *Host) HandleMembers(proto protocol.ID, handler network.StreamHandler) {
	h.SetStreamHandler(proto, func(s network.Stream) {
		if h.Standing(s.Conn().RemotePeer()) != Member {
			s.ResetWithError(network.StreamProtocolNegotiationFailed)
			return
		}
		handler(s)
	})
}

// Role of the host.
func (h *Host) Role() Role { return h.role }

// Identity of the host.
func (h *Host) Identity() identity.Identity { return h.identity }

func (h *Host) isRelay(p peer.ID) bool {
	_, is := h.relays[p]
	return is
}

// isTCPRelay tells whether p is a relay of this host that has an address over TCP.
func (h *Host) isTCPRelay(p peer.ID) bool {
	for _, a := range h.relays[p].Addrs {
		if !addr.IsUDP(a) {
			return true
		}
	}
	return false
}

func (h *Host) keeps(p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kept[p] > 0
}

// expects tells whether this host is at reaching p.
func (h *Host) expects(p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[p] > 0
}

// joining tells whether connections to p will be closed when it has let this host in.
func (h *Host) joining(p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.joins[p] > 0 && h.kept[p] == 0
}

// count adds n to a counter of kept, known or joins.
func (h *Host) count(of map[peer.ID]int, p peer.ID, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if of[p] += n; of[p] == 0 {
		delete(of, p)
	}
}

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
