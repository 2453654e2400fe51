package main

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/daemon"
)

// running is an open daemon of any kind.
type running interface {
	Run(ctx context.Context) error
	AdminHandler() http.Handler
	Close() error
}

// daemonRun is how a command runs a daemon: with profiles, if they are wanted, and with the
// admin socket of its data directory, which answers until the daemon has come to rest.
type daemonRun[D running] struct {
	kind, dataDir string
	pprof         string // an address that has passed checkPprof; empty: none
	open          func(ctx context.Context) (D, error)
	// greet prints what the user needs next; by then, commands can reach the daemon. Optional.
	greet func(ctx context.Context, d D)
}

func (r daemonRun[D]) run(cmd *cobra.Command) (err error) {
	var (
		whole    daemon.Daemon
		profiles net.Listener
		socket   *admin.Socket
	)
	ctx := cmd.Context()
	if r.pprof != "" {
		if profiles, err = whole.Listen(ctx, r.pprof); err != nil {
			return err
		}
		whole.Part("profiles", func(ctx context.Context) error { return servePprof(ctx, profiles) })
	}
	d, err := r.open(ctx)
	if err != nil {
		return errors.Join(err, whole.Close())
	}
	whole.Opened(d.Close)
	if socket, err = admin.Listen(r.dataDir); err != nil {
		return errors.Join(err, whole.Close())
	}
	whole.Opened(func() error { socket.Close(); return nil })
	whole.Part("admin socket", func(ctx context.Context) error { return socket.Serve(ctx, d.AdminHandler()) })
	whole.Edge(r.kind, d.Run)
	if r.greet != nil {
		whole.Edge("greeting", func(ctx context.Context) error { r.greet(ctx, d); return nil })
	}
	return errors.Join(whole.Run(ctx), whole.Close())
}
