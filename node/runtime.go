package node

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/node/state"
)

// openRuntime takes the port of the Runtime API. It is chosen only once: apps that outlive the
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
	n.listener, err = n.daemon.Listen(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("take its port: %w", err)
	}
	if n.superExec, err = n.newSuperExec(); err != nil {
		return err
	}
	got := n.listener.Addr().(*net.TCPAddr).Port
	if got == identity.RuntimePort {
		return nil
	}
	_, err = n.store.UpdateIdentity(ctx, func(id *state.Identity) { id.RuntimePort = got })
	return err
}

// serveRuntime answers the Runtime API until ctx ends.
func (n *Node) serveRuntime(ctx context.Context) error {
	return daemon.ServeHTTP(ctx, n.listener, runtimeapi.Guarded(&n.cfg.Local, runtimeapi.NewHandler(n.apps, runtimeapi.Options{
		TakeLastWords: n.cfg.ShareLogs, ExecSecret: n.execSecret,
	})))
}
