package link

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/rhizome-fl/rhizome/internal/daemon"
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
	all.Mount(flwr.PathControl, demandToken(l.cfg.ControlToken, control))
	all.Mount(flwr.PathRuntime, l.runtimeHandler())
	if l.cfg.FleetHTTP {
		all.Mount(flwr.PathFleet, stock.New(stock.Config{
			Store: l.store, Objects: l.objects, Office: l.office, RegisteredOnly: l.cfg.RegisteredNodesOnly,
		}))
	}
	l.handler = all
	// Operators far away get the Control API only: tasks are run on the link's machine. They
	// need no token; the overlay knows who they are.
	far := flwr.NewMux()
	far.Mount(flwr.PathControl, control)
	l.control = far
	return nil
}

func (l *Link) runtimeHandler() http.Handler {
	handler := runtimeapi.NewHandler(l.appio, runtimeapi.Options{ExecSecret: l.cfg.ExecSecret})
	if len(l.cfg.ExecSecret) > 0 || l.cfg.Insecure {
		return handler
	}
	return sameMachine(handler)
}

func (l *Link) serveHTTP(ctx context.Context) error {
	return daemon.ServeHTTP(ctx, l.listener, l.handler)
}
