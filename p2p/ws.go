package p2p

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"

	"github.com/gorilla/websocket"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	libp2pws "github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
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

// Dial goes through the proxy if there is one.
func (t *webSocket) Dial(ctx context.Context, raddr ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	if t.proxy != nil {
		ctx = withProxy(ctx, t.proxy)
	}
	return t.WebsocketTransport.Dial(ctx, raddr, p)
}

func withProxy(ctx context.Context, proxy *url.URL) context.Context {
	return context.WithValue(ctx, proxyKey{}, proxy)
}
