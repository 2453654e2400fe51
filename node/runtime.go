package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/node/state"
)

// openRuntime takes the port of the Runtime API. It is chosen once: apps that outlive the
// node find the next one where this one was.
func (n *Node) openRuntime(ctx context.Context) error {
	identity, err := n.store.Identity(ctx)
	if err != nil {
		return err
	}
	port := n.cfg.RuntimePort
	if port == 0 {
		port = identity.RuntimePort
	}
	n.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("take the port of the Runtime API: %w", err)
	}
	n.opened(func() error {
		if err := n.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil // the server has closed it
	})
	n.superExec = n.newSuperExec()
	got := n.listener.Addr().(*net.TCPAddr).Port
	if got == identity.RuntimePort {
		return nil
	}
	_, err = n.store.UpdateIdentity(ctx, func(id *state.Identity) { id.RuntimePort = got })
	return err
}

// serveRuntime answers the Runtime API until ctx ends. The requests' contexts end with it,
// so that held requests do not keep it; their clients come back.
func (n *Node) serveRuntime(ctx context.Context) error {
	server := &http.Server{
		Handler:           runtimeapi.NewHandler(n.appio, runtimeapi.Options{TakeLastWords: n.cfg.ShareLogs}),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(n.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP on %s: %w", n.listener.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := server.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-served
	return err
}
