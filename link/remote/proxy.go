package remote

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/tunnel"
)

var log = logs.For("link/remote")

// Proxy gives programs on this machine the Control API of a remote link. OpenProxy makes one, Run
// serves until its context ends, and Close releases everything.
type Proxy struct {
	*peerOf
	listener net.Listener
}

// OpenProxy takes the port, and joins or continues as the member that it already is. If it fails
// it leaves nothing open.
func OpenProxy(ctx context.Context, cfg Config) (*Proxy, error) {
	if err := CheckHTTP(cfg.HTTP); err != nil {
		return nil, err
	}
	peer, err := newPeer(cfg, join.RoleOperator)
	if err != nil {
		return nil, err
	}
	p := &Proxy{peerOf: peer}
	data, overlay, link := peer.steps()
	if err := p.daemon.Open(ctx, data, overlay, daemon.Step{Name: "local port", Open: p.openPort}, link); err != nil {
		return nil, err
	}
	p.daemon.Edge("local port", p.serve)
	return p, nil
}

// CheckHTTP refuses a local address that others could reach.
func CheckHTTP(address string) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errHTTP(address)
	}
	return nil
}

func (p *Proxy) openPort(ctx context.Context) (err error) {
	if p.listener, err = p.daemon.Listen(ctx, p.cfg.HTTP); err != nil {
		return fmt.Errorf("listen for flwr: %w", err)
	}
	return nil
}

// HTTPAddress is the host:port for flwr.
func (p *Proxy) HTTPAddress() string { return p.listener.Addr().String() }

// Run serves until ctx ends, which is not an error.
func (p *Proxy) Run(ctx context.Context) error { return p.daemon.Run(ctx) }

// Close releases the port, the host and the data directory. Run must have returned.
func (p *Proxy) Close() error { return p.daemon.Close() }

// serve carries each connection through the overlay.
func (p *Proxy) serve(ctx context.Context) error {
	return tunnel.Serve(ctx, p.cfg.Local.Listener(p.listener, log), func(ctx context.Context) (net.Conn, error) {
		return p.host.DialStream(ctx, p.link.Peer, ControlProtocol)
	})
}

// AdminHandler lets `rhizome status` ask the link through a running proxy.
func (p *Proxy) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		status, err := askStatus(r.Context(), p.host, p.link.Peer)
		if err != nil {
			admin.WriteError(w, http.StatusBadGateway, err)
			return
		}
		admin.WriteJSON(w, status)
	})
	return mux
}
