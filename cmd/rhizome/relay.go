package main

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/p2p/relay"
	"github.com/rhizome-fl/rhizome/p2p/relayd"
)

func newRelay() *cobra.Command {
	var o relayOptions
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Carry the traffic of federations whose members cannot reach each other",
		Long: `A relay has an address that others can dial, and passes their encrypted streams on. It
serves the links that it is told to allow, and the peers that those links vouch for. It
cannot read what it carries.`,
		Example: `  rhizome id --data ./hub                                # on the link: its peer id
  rhizome relay --data ./relay --allow-link 12D3KooW...   # on the relay`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.define(cmd)
	return cmd
}

func (o *relayOptions) define(cmd *cobra.Command) {
	dataFlag(cmd, &o.cfg.DataDir, "relay")
	overlayFlags(cmd, &o.overlay)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.links, "allow-link", nil, "`peer id` of a link to relay for (repeat for more)")
	flags.BoolVar(&o.cfg.Open, "open", false, "relay for anybody, within the limits")
	flags.StringVar(&o.cfg.Metrics, "metrics", "", "serve Prometheus metrics at this `host:port`")
	pprofFlag(cmd, &o.pprof)
	limits := &o.cfg.Limits
	bytesFlag(flags, &limits.PeerRate, "peer-rate", 0, unlimited, "`bytes` per second for each peer, such as 2MB")
	bytesFlag(flags, &limits.PeerBytes, "peer-bytes", 0, unlimited, "`bytes` per day for each peer")
	flags.IntVar(&limits.PeerCircuits, "peer-circuits", relay.DefaultPeerCircuits, "circuits of each peer at a time")
	bytesFlag(flags, &limits.FederationRate, "federation-rate", 0, unlimited, "`bytes` per second for each federation")
	bytesFlag(flags, &limits.FederationBytes, "federation-bytes", 0, unlimited, "`bytes` per day for each federation")
	flags.IntVar(&limits.FederationCircuits, "federation-circuits", 0, "circuits of each federation at a time (default: the value of --circuits)")
	bytesFlag(flags, &limits.Rate, "rate", 0, unlimited, "`bytes` per second in total")
	flags.IntVar(&limits.Circuits, "circuits", relay.DefaultCircuits, "circuits at a time in total")
	bytesFlag(flags, &limits.CircuitBytes, "circuit-bytes", 0, unlimited, "`bytes` in each direction after which a circuit ends")
	flags.DurationVar(&limits.CircuitTime, "circuit-time", 0, "time after which a circuit ends (0: no limit)")
}

type relayOptions struct {
	cfg     relayd.Config
	overlay overlayOptions
	links   []string
	pprof   string
}

// config gives what the flags say, and reads the files that they name.
func (o relayOptions) config() (cfg relayd.Config, err error) {
	cfg = o.cfg
	cfg.Software = software()
	if cfg.Overlay, err = o.overlay.settings(); err != nil {
		return cfg, err
	}
	for _, text := range o.links {
		id, err := peer.Decode(text)
		if err != nil {
			return cfg, usageError{fmt.Errorf("--allow-link %q is not a peer id: %v", text, err)}
		}
		cfg.Links = append(cfg.Links, id)
	}
	if len(cfg.Links) == 0 && !cfg.Open {
		return cfg, usageError{fmt.Errorf("%w: name a link with --allow-link, or say --open", relayd.ErrNobody)}
	}
	return cfg, nil
}

func (o relayOptions) run(cmd *cobra.Command) error {
	if err := checkPprof(o.pprof); err != nil {
		return err
	}
	cfg, err := o.config()
	if err != nil {
		return err
	}
	return daemonRun[*relayd.Daemon]{
		kind: "relay", dataDir: cfg.DataDir, pprof: o.pprof,
		open: func(ctx context.Context) (*relayd.Daemon, error) { return relayd.Open(ctx, cfg) },
		greet: func(_ context.Context, d *relayd.Daemon) {
			out, status := cmd.OutOrStdout(), d.Status()
			fmt.Fprintf(out, "relay %s\n", status.PeerID)
			for _, address := range status.Addresses {
				fmt.Fprintf(out, "give this to a link: rhizome link --relay %s\n", address)
			}
			fmt.Fprintln(out, readyPrefix+"relay")
		},
	}.run(cmd)
}
