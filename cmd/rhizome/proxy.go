package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/ticket"
	"github.com/rhizome-fl/rhizome/p2p/tunnel"
)

func newProxy() *cobra.Command {
	var o proxyOptions
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Give flwr on this machine the Control API of a far link",
		Long: `Listens on a local port and carries what is said there through the overlay to the
Control API of a link, which may sit behind a NAT. It needs a ticket with the role
operator; after the first start its data directory knows the link.`,
		Example: `  rhizome proxy --data ./me --join @operator.ticket
  # and in ~/.flwr/config.toml:
  #   [superlink.far]
  #   address = "127.0.0.1:8000"
  #   insecure = true`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	dataFlag(cmd, &o.data, "proxy")
	overlayFlags(cmd, &o.overlay)
	cmd.Flags().StringVar(&o.join, "join", "", "operator `ticket`, multiaddr, or @FILE")
	cmd.Flags().StringVar(&o.http, "http", link.DefaultHTTP, "local `host:port`")
	return cmd
}

type proxyOptions struct {
	data, join, http string
	overlay          overlayOptions
}

func (o proxyOptions) run(cmd *cobra.Command) (err error) {
	host, _, err := net.SplitHostPort(o.http)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usageError{fmt.Errorf("--http %q: want a loopback address such as %s: whoever reaches the port acts as you", o.http, link.DefaultHTTP)}
	}
	if err := o.overlay.parse(); err != nil {
		return err
	}
	join, err := o.parseJoin()
	if err != nil {
		return err
	}
	dir, err := datadir.Open(o.data, "proxy")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	cfg, err := o.overlay.config(dir, p2p.Leaf)
	if err != nil {
		return err
	}
	overlay, err := p2p.NewHost(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, overlay.Close()) }()
	listener, err := net.Listen("tcp", o.http)
	if err != nil {
		return fmt.Errorf("listen for flwr: %w", err)
	}
	defer listener.Close()
	target, err := reach(cmd.Context(), join, dir, overlay, ticket.RoleOperator)
	if err != nil {
		return err
	}
	socket, err := admin.Listen(dir.Path())
	if err != nil {
		return err
	}
	defer socket.Close()
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "flwr address %s\n", listener.Addr())
	fmt.Fprintln(out, readyPrefix+"proxy")
	group, ctx := errgroup.WithContext(cmd.Context())
	group.Go(func() error { return socket.Serve(ctx, farStatusHandler(overlay, target.Peer)) })
	group.Go(func() error {
		return tunnel.Serve(ctx, listener, func(ctx context.Context) (net.Conn, error) {
			return overlay.DialStream(ctx, target.Peer, link.ControlProtocol)
		})
	})
	return group.Wait()
}

func (o proxyOptions) parseJoin() (*ticket.Ticket, error) {
	return parseJoin(o.join, o.data, ticket.RoleOperator)
}
