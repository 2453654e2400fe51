package p2p

import (
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/reach"
	"github.com/rhizome-fl/rhizome/p2p/transport"
)

// believeOneObserver runs before the first host of a process is made. libp2p believes what four
// peers say about a host's public address. Behind a NAT, a host that meets a relay or two never
// hears four, and hole punching waits for it. Our observers are relays and members, who were
// chosen. libp2p has no option for this, neither on a host nor on its manager of observed
// addresses, and reads this variable whenever it is told of an observation; hence it is set once
// for all hosts.
var believeOneObserver = sync.OnceFunc(func() { observedaddrs.ActivationThresh = 1 }) //nolint:reassign // there is no option

// newLibp2p builds the libp2p host. It does not listen yet, except for circuits.
func newLibp2p(cfg Config, gate *admission.Controller, paths *reach.Manager, intents *reach.Intents, proxy transport.Proxy) (host.Host, error) {
	believeOneObserver()
	opts := []libp2p.Option{
		libp2p.Identity(cfg.Identity.Key),
		libp2p.UserAgent(cfg.UserAgent),
		libp2p.DisableMetrics(),
		libp2p.BandwidthReporter(paths.Traffic()),
		libp2p.ResourceManager(gate.Resources()),
		libp2p.ConnectionManager(gate.Connections()),
		libp2p.ConnectionGater(gate.Gater()),

		libp2p.Security(libp2ptls.ID, transport.NewTLS(paths.LeftTo)), // faster than Noise where the hardware has AES
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, transport.NewMuxer(cfg.Kind == RelayHost)),
		libp2p.Transport(transport.NewTCP(intents.Joins)),
		libp2p.Transport(quic.NewTransport),
		libp2p.Transport(transport.NewWebSocket(transport.WebSocketConfig{
			Certificate: cfg.Certificate, RootCAs: cfg.RootCAs, Proxy: proxy,
		})),
		libp2p.EnableRelay(), // to reach and be reached through relays, not to be one
		libp2p.ListenAddrs(), // later; see Host.listen

		// libp2p's own ranking holds TCP back by 250 ms and circuits by 500 ms, for every peer
		// that is dialled.
		libp2p.SwarmOpts(swarm.WithDialRanker(paths.Rank)),
		libp2p.WithDialTimeout(reach.DialTimeout),

		libp2p.EnableAutoNATv2(),
		// The AutoNAT v2 server asks these counters before it dials back. A host that hardly
		// dials anybody never leaves their first state, in which all of UDP is refused.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.AddrsFactory(paths.Tell),
	}
	if cfg.Kind == RelayHost {
		opts = append(opts, libp2p.ForceReachabilityPublic()) // a relay that is not public is of no use
	} else {
		opts = append(opts, libp2p.ForceReachabilityPrivate()) // silences AutoNAT v1; v2 finds out the truth
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
	return inner, nil
}
