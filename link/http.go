package link

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"

	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/internal/localpeer"
	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/link/control"
	"github.com/rhizome-fl/rhizome/link/stock"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// openHTTP takes the port and builds the APIs.
func (l *Link) openHTTP(ctx context.Context) error {
	var certificate *tls.Certificate
	if l.cfg.CertFile != "" {
		loaded, err := tls.LoadX509KeyPair(l.cfg.CertFile, l.cfg.KeyFile)
		if err != nil {
			return fmt.Errorf("load the TLS certificate: %w", err)
		}
		certificate = &loaded
	}
	if certificate != nil { // its names are those of the link
		l.cfg.Local.Names = slices.Concat(l.cfg.Local.Names, certificate.Leaf.DNSNames)
	}
	listener, err := l.daemon.Listen(ctx, l.cfg.HTTP)
	if err != nil {
		return fmt.Errorf("take the address of Flower's APIs: %w (another one is named with --http)", err)
	}
	if certificate != nil {
		// Flower's clients speak HTTP/1.1 only, and interim responses are tested with it.
		listener = tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}
	l.listener = listener

	control := control.New(control.Config{Store: l.store, Objects: l.objects})
	all := flwr.NewMux()
	all.Mount(flwr.PathControl, l.guarded(demandToken(l.cfg.ControlToken, control), len(l.cfg.ControlToken) > 0))
	runtime, err := l.runtimeHandler()
	if err != nil {
		return err
	}
	all.Mount(flwr.PathRuntime, runtime)
	if l.cfg.FleetHTTP {
		all.Mount(flwr.PathFleet, l.guarded(stock.New(stock.Config{
			Store: l.store, Objects: l.objects, Office: l.office, RegisteredOnly: l.cfg.RegisteredNodesOnly,
		}), l.cfg.RegisteredNodesOnly))
	}
	l.handler = all
	// Operators far away get the Control API only: tasks are run on the link's machine. They
	// need no token; the overlay knows who they are. What it cannot know is that no web page asks
	// through the local port of a proxy.
	far := flwr.NewMux()
	far.Mount(flwr.PathControl, runtimeapi.Guarded(&localpeer.Guard{AnyUser: true}, control))
	l.control = far
	return nil
}

// guarded keeps an API for the users of this machine whom it is meant for. Where each request
// shows what it may, the user does not matter.
func (l *Link) guarded(next http.Handler, showsCredentials bool) http.Handler {
	guard := l.cfg.Local
	guard.AnyUser = guard.AnyUser || showsCredentials || l.cfg.Insecure
	return runtimeapi.Guarded(&guard, next)
}

// runtimeHandler demands a secret of every SuperExec if there is one. Who has one that the user
// named may be anybody, on whatever machine.
func (l *Link) runtimeHandler() (http.Handler, error) {
	named := len(l.cfg.ExecSecret) > 0
	if err := l.openSecret(); err != nil {
		return nil, err
	}
	handler := l.guarded(runtimeapi.NewHandler(l.appio, runtimeapi.Options{ExecSecret: l.cfg.ExecSecret}), named)
	if named || l.cfg.Insecure {
		return handler, nil
	}
	return sameMachine(handler), nil
}

func (l *Link) serveHTTP(ctx context.Context) error {
	return daemon.ServeHTTP(ctx, l.listener, l.handler)
}
