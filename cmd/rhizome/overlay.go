package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/identity"
)

// overlayOptions are the flags that all daemons on the overlay share.
type overlayOptions struct {
	listen, announce, relays []string
	port                     int
	websocket, upnp          bool
	mdns, proxy              string
	certificate, key, ca     string

	// What parse makes of them.
	listenAddrs, announceAddrs []ma.Multiaddr
	noListen                   bool
	relayPeers                 []peer.AddrInfo
	pair                       *tls.Certificate
	roots                      *x509.CertPool
	proxyURL                   *url.URL
}

func overlayFlags(cmd *cobra.Command, o *overlayOptions) {
	flags := cmd.Flags()
	flags.StringArrayVar(&o.listen, "listen", nil, "`multiaddr` of the overlay to listen on, or none (default: all interfaces, TCP and QUIC; repeat for more)")
	flags.IntVar(&o.port, "port", 0, "port of the overlay (default: chosen once and kept in the data directory)")
	flags.StringArrayVar(&o.announce, "announce", nil, "`multiaddr` to tell others instead of what is found out, for a port forward (repeat for more)")
	flags.StringArrayVar(&o.relays, "relay", nil, "`multiaddr` of a relay to be reachable through (repeat for more)")
	flags.BoolVar(&o.websocket, "websocket", false, "listen for WebSocket on the TCP port too")
	flags.StringVar(&o.certificate, "websocket-cert", "", "certificate `file` (PEM), to serve WebSocket as wss")
	flags.StringVar(&o.key, "websocket-key", "", "key `file` (PEM) of the certificate")
	flags.StringVar(&o.ca, "websocket-ca", "", "`file` (PEM) with the authority that signs the wss certificates of others")
	flags.StringVar(&o.proxy, "proxy", "", "`URL` of an HTTP CONNECT proxy for WebSocket addresses (default: HTTPS_PROXY)")
	flags.BoolVar(&o.upnp, "upnp", false, "ask the router to forward the port")
	flags.StringVar(&o.mdns, "mdns", "", "`name` under which peers in one LAN find each other's addresses")
}

// parse checks the flags. It comes before anything is opened, so that a mistake changes nothing.
func (o *overlayOptions) parse() (err error) {
	if o.listenAddrs, o.noListen, err = parseListen(o.listen); err != nil {
		return err
	}
	if o.announceAddrs, err = parseAddrs("--announce", o.announce); err != nil {
		return err
	}
	if o.relayPeers, err = parsePeers("--relay", o.relays); err != nil {
		return err
	}
	return o.parseWebSocket()
}

// config builds the host's configuration from what parse made; identity and port are kept
// in the data directory.
func (o *overlayOptions) config(dir *datadir.Dir, role p2p.Role) (p2p.Config, error) {
	cfg := p2p.Config{
		Role: role, Listen: o.listenAddrs, NoListen: o.noListen, Port: o.port, Announce: o.announceAddrs, Relays: o.relayPeers,
		WebSocket: o.websocket, Certificate: o.pair, RootCAs: o.roots, Proxy: o.proxyURL, UPnP: o.upnp, MDNS: o.mdns, UserAgent: software(),
	}
	var err error
	if cfg.Identity, err = identity.LoadOrCreate(dir.Path(identityFile)); err != nil {
		return cfg, err
	}
	if cfg.Port == 0 && !cfg.NoListen && len(cfg.Listen) == 0 {
		if cfg.Port, err = identity.LoadOrPickPort(dir.Path(portFile)); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// software is what this binary calls itself to others.
func software() string { return "rhizome " + version }

// Files in a data directory.
const (
	identityFile = "identity"
	portFile     = "port"
)

func (o *overlayOptions) parseWebSocket() error {
	if (o.certificate == "") != (o.key == "") {
		return usageError{errors.New("--websocket-cert and --websocket-key go together")}
	}
	if o.certificate != "" {
		pair, err := tls.LoadX509KeyPair(o.certificate, o.key)
		if err != nil {
			return fmt.Errorf("read the WebSocket certificate: %w", err)
		}
		o.pair, o.websocket = &pair, true
	}
	if o.ca != "" {
		text, err := os.ReadFile(o.ca)
		if err != nil {
			return fmt.Errorf("read --websocket-ca: %w", err)
		}
		o.roots = x509.NewCertPool()
		if !o.roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("--websocket-ca %s holds no PEM certificate", o.ca)
		}
	}
	if o.proxy != "" {
		proxy, err := url.Parse(o.proxy)
		if err != nil {
			return usageError{fmt.Errorf("--proxy: %v", err)}
		}
		o.proxyURL = proxy
	}
	return nil
}

func parseListen(texts []string) (addrs []ma.Multiaddr, none bool, err error) {
	if len(texts) == 1 && texts[0] == "none" {
		return nil, true, nil
	}
	addrs, err = parseAddrs("--listen", texts)
	return addrs, false, err
}

func parseAddrs(flag string, texts []string) ([]ma.Multiaddr, error) {
	var addrs []ma.Multiaddr
	for _, text := range texts {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s %q is not a multiaddr such as /ip4/0.0.0.0/tcp/4001: %v", flag, text, err)}
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// parsePeers joins addresses of the same peer, and keeps the order.
func parsePeers(flag string, texts []string) ([]peer.AddrInfo, error) {
	var peers []peer.AddrInfo
	for _, text := range texts {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s %q is not a multiaddr: %v", flag, text, err)}
		}
		info, err := peer.AddrInfoFromP2pAddr(addr)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s %q does not say whose address it is: it must end in /p2p/PEER-ID", flag, text)}
		}
		peers = append(peers, *info)
	}
	return addr.MergePeers(peers), nil
}
