package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/link"
	"github.com/rhizome-fl/rhizome/link/remote"
)

func newProxy() *cobra.Command {
	var o proxyOptions
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Give flwr on this machine the Control API of a distant link",
		Long: `Listens on a local port and carries the requests made there through the overlay to the
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
	o.define(cmd)
	return cmd
}

func (o *proxyOptions) define(cmd *cobra.Command) {
	dataFlag(cmd, &o.cfg.DataDir, "proxy")
	overlayFlags(cmd, &o.overlay)
	localFlags(cmd, &o.local)
	cmd.Flags().StringVar(&o.join, "join", "", "operator `ticket`, multiaddr, or @FILE")
	cmd.Flags().StringVar(&o.cfg.HTTP, "http", link.DefaultHTTP, "local `host:port`")
}

type proxyOptions struct {
	cfg     remote.Config
	join    string
	overlay overlayOptions
	local   localOptions
}

// config gives what the flags say, and reads the files that they name.
func (o proxyOptions) config() (cfg remote.Config, err error) {
	cfg = o.cfg
	cfg.Software = software()
	if err := remote.CheckHTTP(cfg.HTTP); err != nil {
		return cfg, usageError{fmt.Errorf("--http: %w", err)}
	}
	if cfg.Overlay, err = o.overlay.settings(); err != nil {
		return cfg, err
	}
	if cfg.Local, err = o.local.guard(); err != nil {
		return cfg, err
	}
	cfg.Join, err = readJoin(o.join)
	return cfg, err
}

func (o proxyOptions) run(cmd *cobra.Command) error {
	cfg, err := o.config()
	if err != nil {
		return err
	}
	return daemonRun[*remote.Proxy]{
		kind: "proxy", dataDir: cfg.DataDir,
		open: func(ctx context.Context) (*remote.Proxy, error) {
			return remote.OpenProxy(ctx, cfg)
		},
		greet: func(_ context.Context, p *remote.Proxy) {
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "flwr address %s\n", p.HTTPAddress())
			fmt.Fprintln(out, readyPrefix+"proxy")
		},
	}.run(cmd)
}
