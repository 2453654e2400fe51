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
// federation is another matter: a role (package join).
type Kind int

const (
	// Leaf is a SuperNode, or a tool such as a proxy: it dials its hub.
	Leaf Kind = iota
	// Hub is a SuperLink: leaves dial it. It reserves at its relays over TCP only, since a
	// relay can bring it 256 circuits at most over one QUIC connection.
	Hub
	// RelayHost carries other peers' circuits, and tells them whether they are reachable.
	RelayHost
)

func (k Kind) String() string { return [...]string{"leaf", "hub", "relay"}[k] }

// Overlay says how a daemon takes part in the overlay, as its user has set it. The
// configurations of SuperLink, SuperNode, relay and proxy embed it. The zero value suits most.
type Overlay struct {
	// Listen names the addresses to listen on. Empty: all interfaces, IPv4 and IPv6, TCP
	// and QUIC, on Port (0: that of the data directory with [Open], any that is free with
	// [NewHost]).
	Listen []ma.Multiaddr
	Port   int
	// NoListen makes a host that only dials, for tools that live for one command. It
	// cannot be hole punched.
	NoListen bool
	// WebSocket also listens for WebSocket on the TCP port, if Listen is empty; with
	// Certificate as wss.
	WebSocket   bool
	Certificate *tls.Certificate
	// RootCAs are trusted in dialling wss addresses; nil: those of the system. It says
	// nothing about peers, who prove their id inside.
	RootCAs *x509.CertPool
	// Proxy is an HTTP CONNECT proxy for WebSocket addresses; TCP and QUIC never use it.
	// nil: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
	Proxy *url.URL
	// Announce replaces the addresses that others are told of, for a port forward that
	// nobody can find out. Circuits at relays are told of anyway.
	Announce []ma.Multiaddr

	// Relays to hold reservations at, so that others reach this host through them.
	Relays []peer.AddrInfo

	// UPnP asks the router to forward the port (UPnP, NAT-PMP).
	UPnP bool
	// MDNS, if not empty, names a service by which hosts of one LAN tell each other their
	// addresses. They are used only for peers that are known by other means.
	MDNS string
}

// Config of a host. Only Identity is needed, and [Open] reads that from a data directory.
type Config struct {
	Identity identity.Identity
	Kind     Kind
	Overlay

	// Gate decides who may do what; nil: everybody is a member.
	Gate admission.Gate
	// MaxPeers bounds the peers at a time; 0: 4096, or 512 for a leaf.
	MaxPeers int
	// UserAgent that members are told; strangers are told "rhizome". Empty: "rhizome".
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

// listen gives the addresses to listen on. The host must be able to listen on those of
// the first list; it may fail on those of the second, as IPv6 does where it is off.
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
