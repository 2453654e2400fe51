package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/reach"
	"github.com/rhizome-fl/rhizome/p2p/streams"
	"github.com/rhizome-fl/rhizome/p2p/transport"
)

var log = logs.For("p2p")

// Host is a libp2p host with the overlay around it. All methods may be called from any
// goroutine.
type Host struct {
	host.Host

	identity  identity.Identity
	kind      Kind
	admission *admission.Controller
	reach     *reach.Manager

	ctx    context.Context // ends when the host closes
	cancel context.CancelFunc
	work   sync.WaitGroup
	mu     sync.Mutex
	closed bool // no more work is taken on
}

// NewHost makes a host that listens, and starts to reserve at its relays. The caller must close
// it. Every address in cfg.Listen must be free; a missing IPv6 is an error only if it was asked
// for by name.
func NewHost(cfg Config) (*Host, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	h := &Host{identity: cfg.Identity, kind: cfg.Kind}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	intents := reach.NewIntents(cfg.Kind == Hub, cfg.Relays)
	proxy := transport.Proxy{URL: cfg.Proxy}
	var err error
	if h.admission, err = admission.New(admission.Config{
		Key: cfg.Identity.Key.GetPublic(), Gate: cfg.Gate, Peers: intents, MaxPeers: cfg.MaxPeers, Background: h.background,
	}); err != nil {
		h.cancel()
		return nil, err
	}
	h.reach = reach.New(h.ctx, reach.Config{
		Intents: intents, Standing: h.admission.Standing, Aliases: proxy.Aliases, Announce: cfg.Announce,
		Reticent: cfg.Kind == Leaf, MDNS: cfg.MDNS, Background: h.background,
	})
	if h.Host, err = newLibp2p(cfg, h.admission, h.reach, intents, proxy); err != nil {
		h.cancel()
		h.admission.Discard()
		return nil, err
	}
	if err := h.start(cfg); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// start puts the lobby in place before the host listens on its first address, so that no stream
// can slip past it.
func (h *Host) start(cfg Config) error {
	sw, ok := h.Network().(admission.Network)
	if !ok {
		return fmt.Errorf("libp2p's network is a %T, which does not show its stream handler", h.Network())
	}
	h.admission.Guard(sw, h.Mux())
	h.reach.Attach(h.Host)
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			h.admission.Arrived(c)
			h.reach.Opened(c)
		},
		DisconnectedF: func(_ network.Network, c network.Conn) {
			h.admission.Gone(c)
			h.reach.Closed(c)
		},
	})
	if err := h.listen(cfg); err != nil {
		return err
	}
	return h.reach.Start()
}

func (h *Host) listen(cfg Config) error {
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
	return nil
}

// Close ends all connections, and returns when everything that the host started has ended. End
// calls of Keep first, through their contexts; otherwise they fail.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	err := errors.Join(h.reach.Stop(), h.Host.Close())
	h.admission.Close()
	h.work.Wait()
	h.reach.Close()
	if err != nil {
		return fmt.Errorf("close host: %w", err)
	}
	return nil
}

// background runs f on a goroutine that Close waits for. Once the host is closing, f is not run.
func (h *Host) background(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.work.Go(f)
	}
}

// Identity returns the identity of the host.
func (h *Host) Identity() identity.Identity { return h.identity }

// Kind returns the kind of the host.
func (h *Host) Kind() Kind { return h.kind }

// Standing returns the standing of a peer on this host.
func (h *Host) Standing(p peer.ID) admission.Standing { return h.admission.Standing(p) }

// ShowedTicket says that the peer at the other end of a connection has shown a valid ticket; see
// [admission.Controller.ShowedTicket].
func (h *Host) ShowedTicket(c network.Conn) { h.admission.ShowedTicket(c) }

// HandleMembers serves a protocol for members only.
func (h *Host) HandleMembers(proto protocol.ID, handler network.StreamHandler) {
	h.SetStreamHandler(proto, h.admission.ForMembers(handler))
}

// ListenMembers returns a listener for the streams that members open for a protocol, so that a
// net/http server can serve them. It is closed with the host at the latest. See [streams.Listen].
func (h *Host) ListenMembers(proto protocol.ID) net.Listener {
	l := streams.Listen(h, h.ID(), proto, streams.Options{
		Places: maxMemberStreams, PerPeer: memberStreams,
		Admit: func(c network.Conn) bool { return h.Standing(c.RemotePeer()) == admission.Member },
	})
	context.AfterFunc(h.ctx, func() { _ = l.Close() })
	return l
}

// DialStream opens a stream of a protocol to a peer as a net.Conn. It uses an existing connection,
// relayed or direct, or makes one to addresses that are known.
func (h *Host) DialStream(ctx context.Context, p peer.ID, proto protocol.ID) (net.Conn, error) {
	s, err := h.reach.Dial(ctx, p, proto)
	if err != nil {
		return nil, err
	}
	return streams.Conn(s), nil
}

// Disconnect closes all connections of a peer at once, with all streams in them, and tells it that
// it is refused. The gate must already refuse the peer, so that it cannot return.
func (h *Host) Disconnect(p peer.ID) {
	for _, c := range h.Network().ConnsToPeer(p) {
		c.CloseWithError(network.ConnGated)
	}
}

// Keep holds a stream to a peer for as long as ctx lasts; see [reach.Manager.Keep].
func (h *Host) Keep(ctx context.Context, t reach.Target, proto protocol.ID, serve func(context.Context, network.Stream) error) error {
	return h.reach.Keep(ctx, t, proto, serve)
}

// Ask goes to a peer for one question; see [reach.Manager.Ask].
func (h *Host) Ask(ctx context.Context, t reach.Target, proto protocol.ID, ask func(network.Stream) error) error {
	return h.reach.Ask(ctx, t, proto, ask)
}

// Addresses returns the addresses that a ticket should name; see [reach.Manager.Addresses].
func (h *Host) Addresses() []ma.Multiaddr { return h.reach.Addresses() }

// Events reports what happens to paths and addresses; see [reach.Manager.Events].
func (h *Host) Events() (events <-chan reach.Event, stop func()) { return h.reach.Events() }

// Paths returns the connections to a peer, starting with the one that new streams take.
func (h *Host) Paths(p peer.ID) []reach.Path { return h.reach.Paths(p) }

// Ways reports how a peer is reached, and what went wrong last.
func (h *Host) Ways(p peer.ID) reach.Ways { return h.reach.Ways(p) }

// Ping measures the round trip of each path to a peer; see [reach.Manager.Ping].
func (h *Host) Ping(ctx context.Context, p peer.ID) (time.Duration, error) {
	return h.reach.Ping(ctx, p)
}

// Measure brings round trips up to date; see [reach.Manager.Measure].
func (h *Host) Measure(ctx context.Context, peers ...peer.ID) { h.reach.Measure(ctx, peers...) }
