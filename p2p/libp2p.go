package p2p

import (
	"fmt"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/transport"
)

// believeOneObserver is done before the first host of a process is made. libp2p believes what four
// peers say of a host's public address. Behind a NAT that meets a relay or two, that is never;
// and hole punching waits for it. Our observers are relays and members, who were chosen. libp2p
// has no option for it, neither of a host nor of its manager of observed addresses, and reads
// this variable whenever it is told of an observation, so that it is set once and for all hosts.
var believeOneObserver = sync.OnceFunc(func() { observedaddrs.ActivationThresh = 1 })

// newLibp2p builds the libp2p host. It listens on nothing yet but circuits.
func newLibp2p(cfg Config, h *Host) (host.Host, error) {
	believeOneObserver()
	opts := []libp2p.Option{
		libp2p.Identity(cfg.Identity.Key),
		libp2p.UserAgent(cfg.UserAgent),
		libp2p.DisableMetrics(),
		libp2p.BandwidthReporter(h.traffic),
		libp2p.ResourceManager(h.admission.Resources()),
		libp2p.ConnectionManager(h.admission.Connections()),
		libp2p.ConnectionGater(h.admission.Gater()),

		libp2p.Security(libp2ptls.ID, transport.NewTLS(h.traffic.leftTo)), // faster than Noise where there is AES in hardware
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, transport.NewMuxer(cfg.Role == RelayHost)),
		libp2p.Transport(transport.NewTCP(h.intents.Joins)),
		libp2p.Transport(quic.NewTransport),
		libp2p.Transport(transport.NewWebSocket(transport.WebSocketConfig{
			Certificate: cfg.Certificate, RootCAs: cfg.RootCAs, Proxy: h.proxy,
		})),
		libp2p.EnableRelay(), // to reach and be reached through relays, not to be one
		libp2p.ListenAddrs(), // later; see Host.start

		// libp2p's own ranking holds TCP back by 250 ms and circuits by 500, for every peer
		// that is dialled.
		libp2p.SwarmOpts(swarm.WithDialRanker(h.ranker.rank)),
		libp2p.WithDialTimeout(dialTimeout),

		libp2p.EnableAutoNATv2(),
		// The AutoNAT v2 server asks these counters before it dials back. A host that hardly
		// dials anybody never leaves their first state, in which all of UDP is refused.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.AddrsFactory(h.tell),
	}
	if cfg.Role == RelayHost {
		opts = append(opts, libp2p.ForceReachabilityPublic()) // a relay that is not is of no use
	} else {
		opts = append(opts, libp2p.ForceReachabilityPrivate()) // silences AutoNAT v1; v2 finds the truth
	}
	if cfg.WebSocket {
		opts = append(opts, libp2p.ShareTCPListener()) // one port for the firewall
	}
	if cfg.UPnP {
		opts = append(opts, libp2p.NATPortMap())
	}
	inner, err := libp2p.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("start libp2p: %w", err)
	}
	if confirmer, ok := inner.(confirmer); ok {
		h.confirmer.Store(&confirmer)
	}
	return inner, nil
}

// confirmer knows which addresses of a host AutoNAT has confirmed. libp2p's hosts are ones.
type confirmer interface {
	ConfirmedAddrs() (reachable, unreachable, unknown []ma.Multiaddr)
}

// tell chooses, from the addresses that libp2p found, those that members are told of.
//
// A leaf keeps public addresses to itself that AutoNAT has not confirmed: whoever is told of
// one dials it first and punches a hole only when that has failed, 3 s later. Punching
// itself offers them anyway (punch.go). A hub has to be found, so it tells all.
func (h *Host) tell(found []ma.Multiaddr) []ma.Multiaddr {
	told := slices.Clone(h.announce)
	var reachable []ma.Multiaddr
	if confirmer := h.confirmer.Load(); confirmer != nil {
		reachable, _, _ = (*confirmer).ConfirmedAddrs()
	}
	for _, a := range found {
		switch {
		case addr.IsCircuit(a):
		case len(h.announce) > 0:
			continue
		case h.role == Leaf && manet.IsPublicAddr(a) && !ma.Contains(reachable, a):
			continue
		}
		told = append(told, a)
	}
	return told
}
