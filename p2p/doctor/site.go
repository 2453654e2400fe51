package doctor

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	overlay "github.com/rhizome-fl/rhizome/p2p/transport"
)

// site is where the doctor runs, and whom it knows.
type site struct {
	cfg       Config
	temporary bool
	relays    []peer.AddrInfo
	direct    []ma.Multiaddr // addresses of the link itself
	unknown   []string
}

func newSite(cfg Config) (*site, error) {
	s := &site{cfg: cfg, relays: slices.Clone(cfg.Relays)}
	for _, a := range addr.Distinct(cfg.Addrs) {
		relay, ok := addr.SplitCircuit(a)
		switch {
		case !addr.IsCircuit(a):
			if !cfg.OwnLink { // nobody here can judge how others reach it
				s.direct = append(s.direct, a)
			}
		case ok:
			s.relays = append(s.relays, relay)
		default:
			s.dontKnow("the address %s names no relay and was not tried", a)
		}
	}
	s.relays = addr.MergePeers(s.relays)
	if len(s.relays) > maxRelays {
		s.dontKnow("%d of %d relays were not examined", len(s.relays)-maxRelays, len(s.relays))
		s.relays = s.relays[:maxRelays]
	}
	if s.cfg.Identity.Key == nil {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a temporary key: %w", err)
		}
		id, err := peer.IDFromPrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("make a temporary peer id: %w", err)
		}
		s.cfg.Identity, s.temporary = identity.Identity{Key: key, ID: id}, true
	}
	return s, nil
}

func (s *site) dontKnow(format string, args ...any) {
	s.unknown = append(s.unknown, fmt.Sprintf(format, args...))
}

// host makes a host with the site's identity and proxy, which lets in only peers that it examines.
// Port 0 means any. With listen, it also dials from the port that it listens on.
func (s *site) host(listen bool, port int) (host.Host, error) {
	if listen && port == 0 {
		var err error
		if port, err = identity.PickPort(); err != nil {
			return nil, err
		}
	}
	return s.cfg.NewHost(HostConfig{
		Identity: s.cfg.Identity, Listen: listen, Port: port, Proxy: s.cfg.Proxy, RootCAs: s.cfg.RootCAs, Software: s.cfg.Software,
		Gate: admission.GateFunc(func(p peer.ID) admission.Standing {
			known := func(r peer.AddrInfo) bool { return r.ID == p }
			if p == s.cfg.Link || slices.ContainsFunc(s.relays, known) {
				return admission.Member
			}
			return admission.Refused
		}),
	})
}

// transportFor finds the transport with which a host dials an address.
func transportFor(h host.Host, a ma.Multiaddr) (transport.Transport, error) {
	sw, ok := h.Network().(interface {
		TransportForDialing(ma.Multiaddr) transport.Transport
	})
	if !ok {
		return nil, fmt.Errorf("libp2p's network is a %T, which does not show its transports", h.Network())
	}
	t := sw.TransportForDialing(a)
	if t == nil {
		return nil, errNoTransport
	}
	return t, nil
}

var errNoTransport = errors.New("this version knows no such transport")

// proxyFor returns the proxy through which WebSocket to host:port goes; nil means none.
func (s *site) proxyFor(hostPort string) *url.URL {
	return overlay.Proxy{URL: s.cfg.Proxy}.For(hostPort)
}
