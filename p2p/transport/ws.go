package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	libp2pws "github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// WebSocketConfig is what a host specifies for its WebSockets; all of it may be empty.
type WebSocketConfig struct {
	Certificate *tls.Certificate // to listen for wss with
	RootCAs     *x509.CertPool   // trusted when dialling wss; nil: the system's
	Proxy       Proxy            // to dial through
}

// WebSocket is libp2p's WebSocket transport, except that it dials by itself: libp2p's takes the
// proxy from a variable that all hosts of a process share, and has no option for it.
type WebSocket struct {
	*libp2pws.WebsocketTransport
	upgrader  transport.Upgrader
	resources network.ResourceManager
	tls       *tls.Config
	proxy     Proxy
}

var _ transport.Transport = (*WebSocket)(nil)

// NewWebSocket returns the constructor that libp2p calls with its parts.
func NewWebSocket(cfg WebSocketConfig) func(transport.Upgrader, network.ResourceManager, *tcpreuse.ConnMgr) (*WebSocket, error) {
	return func(u transport.Upgrader, r network.ResourceManager, shared *tcpreuse.ConnMgr) (*WebSocket, error) {
		var opts []libp2pws.Option
		if cfg.Certificate != nil {
			opts = append(opts, libp2pws.WithTLSConfig(&tls.Config{Certificates: []tls.Certificate{*cfg.Certificate}}))
		}
		listens, err := libp2pws.New(u, r, shared, opts...)
		if err != nil {
			return nil, err
		}
		return &WebSocket{listens, u, r, &tls.Config{RootCAs: cfg.RootCAs}, cfg.Proxy}, nil
	}
}

// CanDial takes the addresses of [Proxy.Aliases] as well.
func (t *WebSocket) CanDial(a ma.Multiaddr) bool {
	return t.WebsocketTransport.CanDial(unalias(a))
}

// Resolve keeps the name that the certificate is checked against.
func (t *WebSocket) Resolve(ctx context.Context, a ma.Multiaddr) ([]ma.Multiaddr, error) {
	plain := unalias(a)
	resolved, err := t.WebsocketTransport.Resolve(ctx, plain)
	if err == nil && !plain.Equal(a) {
		for i := range resolved {
			resolved[i] = alias(resolved[i])
		}
	}
	return resolved, err
}

// Dial goes through the proxy if there is one.
func (t *WebSocket) Dial(ctx context.Context, a ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	a = unalias(a)
	scope, err := t.resources.OpenConnection(network.DirOutbound, true, a)
	if err != nil {
		return nil, err
	}
	plain, err := t.connect(ctx, a, scope)
	if err != nil {
		scope.Done()
		return nil, err
	}
	secure, err := t.upgrader.Upgrade(ctx, t, plain, network.DirOutbound, p, scope) // closes plain if it fails
	if err != nil {
		scope.Done()
		return nil, err
	}
	return &webSocketConn{secure}, nil
}

// connect dials and upgrades the connection to a WebSocket.
func (t *WebSocket) connect(ctx context.Context, a ma.Multiaddr, scope network.ConnManagementScope) (manet.Conn, error) {
	to, err := libp2pws.ConvertWebsocketMultiaddrToNetAddr(a)
	if err != nil {
		return nil, err
	}
	parsed, ok := to.(*libp2pws.Addr)
	if !ok {
		return nil, fmt.Errorf("WebSocket address %s is a %T", a, to)
	}
	u, secure := *parsed.URL, parsed.Scheme == "wss"
	dialer := websocket.Dialer{HandshakeTimeout: webSocketTimeout, Proxy: t.proxy.of}
	if secure {
		dialer.TLSClientConfig = t.tls
		if name, err := a.ValueForProtocol(ma.P_SNI); err == nil {
			nameServer(&dialer, &u, name)
		}
	}
	raw, _, err := dialer.DialContext(ctx, u.String(), nil)
	if err != nil {
		return nil, err
	}
	c := &messages{Conn: &libp2pws.Conn{Conn: raw, Scope: scope, DefaultMessageType: websocket.BinaryMessage}, secure: secure}
	c.close = sync.OnceValue(c.closeNow)
	whole, err := manet.WrapNetConn(c)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return whole, nil
}

// nameServer makes the request and the certificate use a name, while the connection goes to the
// address that the name was resolved to. A proxy is told the name.
func nameServer(dialer *websocket.Dialer, u *url.URL, name string) {
	dialer.TLSClientConfig = dialer.TLSClientConfig.Clone()
	dialer.TLSClientConfig.ServerName = name
	resolved := u.Host
	u.Host = net.JoinHostPort(name, u.Port())
	named := u.Host
	dialer.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == named {
			address = resolved
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// messages is libp2p's reading and writing of bytes as WebSocket messages, with the parts that
// only its own dialler fills in.
type messages struct {
	*libp2pws.Conn
	secure bool
	close  func() error // once
}

func (c *messages) Close() error { return c.close() }

// closeNow says goodbye if that does not take long.
func (c *messages) closeNow() error {
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "closed")
	return errors.Join(
		c.Conn.Conn.SetReadDeadline(time.Now()),
		c.WriteControl(websocket.CloseMessage, bye, time.Now().Add(webSocketGoodbye)),
		c.Conn.Conn.Close())
}

func (c *messages) LocalAddr() net.Addr {
	return libp2pws.NewAddrWithScheme(c.Conn.Conn.LocalAddr().String(), c.secure)
}

func (c *messages) RemoteAddr() net.Addr {
	return libp2pws.NewAddrWithScheme(c.Conn.Conn.RemoteAddr().String(), c.secure)
}

// webSocketConn says which transport it belongs to.
type webSocketConn struct{ transport.CapableConn }

func (c *webSocketConn) ConnState() network.ConnectionState {
	state := c.CapableConn.ConnState()
	state.Transport = "websocket"
	return state
}
