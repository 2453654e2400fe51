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

	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// overlayOptions are the flags that say how a daemon takes part in the overlay.
type overlayOptions struct {
	listen, announce, relays []string
	port                     int
	websocket, upnp          bool
	mdns, proxy              string
	certificate, key, ca     string
}

func overlayFlags(cmd *cobra.Command, o *overlayOptions) {
	flags := cmd.Flags()
	flags.StringArrayVar(&o.listen, "listen", nil, "`multiaddr` of the overlay to listen on, or none (default: all interfaces, TCP and QUIC; repeat for more)")
	flags.IntVar(&o.port, "port", 0, "port of the overlay (default: chosen once and kept in the data directory)")
	flags.StringArrayVar(&o.announce, "announce", nil, "`multiaddr` to tell others instead of the ones found, such as that of a forwarded port (repeat for more)")
	flags.StringArrayVar(&o.relays, "relay", nil, "`multiaddr` of a relay to be reachable through (repeat for more)")
	flags.BoolVar(&o.websocket, "websocket", false, "also accept WebSocket on the TCP port")
	flags.StringVar(&o.certificate, "websocket-cert", "", "certificate `file` (PEM), to serve WebSocket as wss")
	flags.StringVar(&o.key, "websocket-key", "", "key `file` (PEM) of the certificate")
	flags.StringVar(&o.ca, "websocket-ca", "", "`file` (PEM) with the authority that signs the wss certificates of others")
	flags.StringVar(&o.proxy, "proxy", "", "`URL` of an HTTP CONNECT proxy for WebSocket addresses (default: HTTPS_PROXY)")
	flags.BoolVar(&o.upnp, "upnp", false, "ask the router to forward the port")
	flags.StringVar(&o.mdns, "mdns", "", "`name` under which peers in one LAN find each other's addresses")
}

// settings gives what the flags say, and reads the certificates. It is called before anything is
// opened, so that a mistake changes nothing.
func (o overlayOptions) settings() (set p2p.Overlay, err error) {
	set = p2p.Overlay{Port: o.port, WebSocket: o.websocket, UPnP: o.upnp, MDNS: o.mdns}
	if set.Listen, set.NoListen, err = parseListen(o.listen); err != nil {
		return set, err
	}
	if set.Announce, err = parseAddrs("--announce", o.announce); err != nil {
		return set, err
	}
	if set.Relays, err = parsePeers("--relay", o.relays); err != nil {
		return set, err
	}
	if set.Certificate, err = o.pair(); err != nil {
		return set, err
	}
	set.WebSocket = set.WebSocket || set.Certificate != nil
	if set.RootCAs, err = o.roots(); err != nil {
		return set, err
	}
	if o.proxy != "" {
		if set.Proxy, err = url.Parse(o.proxy); err != nil {
			return set, usageError{fmt.Errorf("--proxy: %v", err)}
		}
	}
	return set, nil
}

// pair returns the certificate to serve WebSocket with; nil if none is named.
func (o overlayOptions) pair() (*tls.Certificate, error) {
	if (o.certificate == "") != (o.key == "") {
		return nil, usageError{errors.New("--websocket-cert and --websocket-key go together: give both or neither")}
	}
	if o.certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.certificate, o.key)
	if err != nil {
		return nil, fmt.Errorf("read the WebSocket certificate: %w", err)
	}
	return &pair, nil
}

// roots returns the authorities to trust instead of the system's; nil if none is named.
func (o overlayOptions) roots() (*x509.CertPool, error) {
	if o.ca == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, fmt.Errorf("read --websocket-ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--websocket-ca %s holds no PEM certificate", o.ca)
	}
	return roots, nil
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

// parsePeers merges the addresses of each peer, and keeps the order.
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
