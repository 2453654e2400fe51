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

// openHTTP opens the port and builds the APIs.
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
		return fmt.Errorf("listen for Flower's APIs: %w (choose another address with --http)", err)
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
	// Remote operators get only the Control API: tasks run on the link's machine. They need no
	// token, since the overlay knows who they are. What it cannot know is whether a web page is
	// asking through the local port of a proxy.
	far := flwr.NewMux()
	far.Mount(flwr.PathControl, runtimeapi.Guarded(&localpeer.Guard{AnyUser: true}, control))
	l.control = far
	return nil
}

// guarded keeps an API for those users of this machine that it is meant for. Where each
// request shows credentials, the user does not matter.
func (l *Link) guarded(next http.Handler, showsCredentials bool) http.Handler {
	guard := l.cfg.Local
	guard.AnyUser = guard.AnyUser || showsCredentials || l.cfg.Insecure
	return runtimeapi.Guarded(&guard, next)
}

// runtimeHandler demands the secret, if there is one, of every SuperExec. If the user named the
// secret, a SuperExec that has it may run on any machine.
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
