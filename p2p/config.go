package p2p

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/transport"
)

// Kind is what a host is in the overlay; the zero value is a Leaf. What its user may do in a
// federation is a separate matter: a role (package join).
type Kind int

const (
	// Leaf is a SuperNode, or a tool such as a proxy: it dials its hub.
	Leaf Kind = iota
	// Hub is a SuperLink: leaves dial it. It reserves at its relays over TCP only, since a relay
	// can bring it no more than 256 circuits over one QUIC connection.
	Hub
	// RelayHost carries other peers' circuits, and tells them whether they are reachable.
	RelayHost
)

func (k Kind) String() string { return [...]string{"leaf", "hub", "relay"}[k] }

// Overlay says how a daemon takes part in the overlay, as its user has configured it. The
// configurations of SuperLink, SuperNode, relay and proxy embed it. The zero value suits most.
type Overlay struct {
	// Listen names the addresses to listen on. If it is empty, the host listens on all interfaces,
	// IPv4 and IPv6, TCP and QUIC, on Port (0: the port of the data directory with [Open], any
	// free port with [NewHost]).
	Listen []ma.Multiaddr
	Port   int
	// NoListen makes a host that only dials, for tools that live for one command. Such a host
	// cannot be hole punched.
	NoListen bool
	// WebSocket also listens for WebSocket on the TCP port if Listen is empty; with Certificate,
	// as wss.
	WebSocket   bool
	Certificate *tls.Certificate
	// RootCAs are trusted when dialling wss addresses; nil means the system's. They say nothing
	// about peers, who prove their id inside the connection.
	RootCAs *x509.CertPool
	// Proxy is an HTTP CONNECT proxy for WebSocket addresses; TCP and QUIC never use it. nil means
	// what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
	Proxy *url.URL
	// Announce replaces the addresses that others are told, for a port forward that cannot be
	// discovered. Circuits at relays are announced in any case.
	Announce []ma.Multiaddr

	// Relays are where the host holds reservations, so that others reach it through them.
	Relays []peer.AddrInfo

	// UPnP asks the router to forward the port (UPnP, NAT-PMP).
	UPnP bool
	// MDNS, if not empty, names a service by which hosts on one LAN tell each other their
	// addresses. They are used only for peers that are known by other means.
	MDNS string
}

// Config configures a host. Only Identity is required, and [Open] reads that from a data
// directory.
type Config struct {
	Identity identity.Identity
	Kind     Kind
	Overlay

	// Gate decides who may do what; nil: everybody is a member.
	Gate admission.Gate
	// MaxPeers bounds the number of peers at a time; 0 means 4096, or 512 for a leaf.
	MaxPeers int
	// UserAgent is told to members; strangers are told "rhizome". Empty means "rhizome".
	UserAgent string
}

func (c Config) validate() error {
	var errs []error
	if c.Identity.Key == nil {
		errs = append(errs, errors.New("no identity"))
	}
	if c.Kind < Leaf || c.Kind > RelayHost {
		errs = append(errs, fmt.Errorf("unknown kind %d", c.Kind))
	}
	if c.Port < 0 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("port %d is not between 0 and 65535", c.Port))
	}
	if c.MaxPeers < 0 {
		errs = append(errs, fmt.Errorf("a maximum of %d peers is negative", c.MaxPeers))
	}
	if err := (transport.Proxy{URL: c.Proxy}).Validate(); err != nil {
		errs = append(errs, err)
	}
	for _, r := range c.Relays {
		if len(r.Addrs) == 0 {
			errs = append(errs, fmt.Errorf("relay %s has no address", r.ID))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("host configuration: %w", err)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.MaxPeers == 0 {
		c.MaxPeers = admission.DefaultMaxPeers
		if c.Kind == Leaf {
			c.MaxPeers = admission.DefaultMaxLeafPeers
		}
	}
	if c.UserAgent == "" {
		c.UserAgent = admission.StrangersAgent
	}
	return c
}

// listen returns the addresses to listen on. The host must be able to listen on those in the first
// list; it may fail on those in the second, as IPv6 does where it is switched off.
func (c Config) listen() (must, may []ma.Multiaddr) {
	if c.NoListen {
		return nil, nil
	}
	if len(c.Listen) > 0 {
		return c.Listen, nil
	}
	all := func(ip string) (addrs []ma.Multiaddr) {
		tcp := ma.StringCast(fmt.Sprintf("%s/tcp/%d", ip, c.Port))
		addrs = append(addrs, tcp, ma.StringCast(fmt.Sprintf("%s/udp/%d/quic-v1", ip, c.Port)))
		if c.WebSocket {
			suffix := "/ws"
			if c.Certificate != nil {
				suffix = "/tls/ws"
			}
			addrs = append(addrs, tcp.Encapsulate(ma.StringCast(suffix)))
		}
		return addrs
	}
	return all("/ip4/0.0.0.0"), all("/ip6/::")
}
