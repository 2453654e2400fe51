package p2p

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"

	"github.com/gorilla/websocket"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	libp2pws "github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// proxyKey is the context key of the proxy of one host.
type proxyKey struct{}

func init() {
	// libp2p's WebSocket transport takes its proxy from this variable and has no option for
	// it. The function has no state: what is one host's own comes in the request's context.
	websocket.DefaultDialer.Proxy = proxyOf
}

// proxyOf gives the proxy for a request: that of the host, else that of the environment,
// where HTTPS_PROXY serves ws addresses too: the proxy is asked to CONNECT either way.
func proxyOf(r *http.Request) (*url.URL, error) {
	if proxy, ok := r.Context().Value(proxyKey{}).(*url.URL); ok {
		return proxy, nil
	}
	proxy, err := http.ProxyFromEnvironment(r)
	if proxy != nil || err != nil || r.URL.Scheme == "https" {
		return proxy, err
	}
	secure := *r
	u := *r.URL
	u.Scheme = "https"
	secure.URL = &u
	return http.ProxyFromEnvironment(&secure)
}

// webSocket is libp2p's transport, with the host's proxy.
type webSocket struct {
	*libp2pws.WebsocketTransport
	proxy *url.URL
}

// newWebSocket gives the constructor that libp2p calls with its parts.
func newWebSocket(cfg Config) func(transport.Upgrader, network.ResourceManager, *tcpreuse.ConnMgr) (*webSocket, error) {
	return func(u transport.Upgrader, r network.ResourceManager, shared *tcpreuse.ConnMgr) (*webSocket, error) {
		opts := []libp2pws.Option{libp2pws.WithTLSClientConfig(&tls.Config{RootCAs: cfg.RootCAs})}
		if cfg.Certificate != nil {
			opts = append(opts, libp2pws.WithTLSConfig(&tls.Config{Certificates: []tls.Certificate{*cfg.Certificate}}))
		}
		t, err := libp2pws.New(u, r, shared, opts...)
		if err != nil {
			return nil, err
		}
		return &webSocket{t, cfg.Proxy}, nil
	}
}

// CanDial takes the addresses of proxied as well.
func (t *webSocket) CanDial(a ma.Multiaddr) bool {
	return t.WebsocketTransport.CanDial(swapLast(a, ma.P_HTTP, ma.P_WS))
}

// Dial goes through the proxy if there is one.
func (t *webSocket) Dial(ctx context.Context, raddr ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	return t.WebsocketTransport.Dial(withProxy(ctx, t.proxy), swapLast(raddr, ma.P_HTTP, ma.P_WS), p)
}

// Resolve keeps the name that a certificate is checked for.
func (t *webSocket) Resolve(ctx context.Context, a ma.Multiaddr) ([]ma.Multiaddr, error) {
	plain := swapLast(a, ma.P_HTTP, ma.P_WS)
	resolved, err := t.WebsocketTransport.Resolve(ctx, plain)
	if err == nil && !plain.Equal(a) {
		for i := range resolved {
			resolved[i] = swapLast(resolved[i], ma.P_WS, ma.P_HTTP)
		}
	}
	return resolved, err
}

// proxied adds to addresses, for each WebSocket address that a proxy leads to, the same
// with /http in the place of /ws. The swarm does not dial WebSocket where it knows TCP on the same
// port too, and behind a proxy only WebSocket works; under this name it tries both.
func (h *Host) proxied(addrs []ma.Multiaddr) []ma.Multiaddr {
	all := slices.Clone(addrs)
	for _, a := range addrs {
		if alias := swapLast(a, ma.P_WS, ma.P_HTTP); !alias.Equal(a) && h.hasProxy(a) {
			all = append(all, alias)
		}
	}
	return all
}

// hasProxy tells whether a WebSocket address is dialled through a proxy.
func (h *Host) hasProxy(a ma.Multiaddr) bool {
	tcp, _ := ma.SplitFunc(a, func(c ma.Component) bool {
		return slices.Contains([]int{ma.P_TLS, ma.P_WS, ma.P_WSS}, c.Protocol().Code)
	})
	_, to, err := manet.DialArgs(tcp)
	if err != nil {
		return false
	}
	u := url.URL{Scheme: "https", Host: to}
	proxy, err := proxyOf((&http.Request{URL: &u}).WithContext(withProxy(h.ctx, h.proxy)))
	return proxy != nil && err == nil
}

// swapLast replaces the last part of an address, if it is of one kind, by one of another.
func swapLast(a ma.Multiaddr, from, to int) ma.Multiaddr {
	head, last := ma.SplitLast(a)
	if head == nil || last == nil || last.Protocol().Code != from {
		return a
	}
	return head.Encapsulate(ma.StringCast("/" + ma.ProtocolWithCode(to).Name))
}

func withProxy(ctx context.Context, proxy *url.URL) context.Context {
	if proxy == nil {
		return ctx
	}
	return context.WithValue(ctx, proxyKey{}, proxy)
}
