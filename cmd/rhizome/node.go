package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/node"
)

func newNode() *cobra.Command {
	var o nodeOptions
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run a SuperNode: a site with data",
		Long: `A SuperNode joins a federation with a ticket and runs ClientApps on what its SuperLink
sends. It only dials out. After the first start its data directory knows where the node
belongs, and --join is not needed again.

--join takes a ticket, the multiaddr of a link that has been told this node's peer id
("rhizome id", "rhizome member add"), or @FILE with either in it, which keeps a ticket
out of the process list.`,
		Example: `  rhizome node --data ./n1 --join rhz1... --name hospital-1 --node-config 'partition-id=0 num-partitions=3'
  rhizome node --data ./n1                                # any later start`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.define(cmd)
	return cmd
}

func (o *nodeOptions) define(cmd *cobra.Command) {
	dataFlag(cmd, &o.cfg.DataDir, "node")
	overlayFlags(cmd, &o.overlay)
	superExecFlags(cmd, &o.superExec)
	localFlags(cmd, &o.local)
	pprofFlag(cmd, &o.pprof)
	flags := cmd.Flags()
	flags.StringVar(&o.join, "join", "", "`ticket`, multiaddr, or @FILE")
	flags.StringVar(&o.cfg.Name, "name", "", "what the node calls itself")
	flags.StringVar(&o.cfg.Location, "location", "", "where the node says it is")
	flags.StringVar(&o.cfg.NodeConfig, "node-config", "", "`\"key=value ...\"` with TOML values, or a TOML file, for every ClientApp")
	flags.StringVar(&o.cfg.TrustedEntities, "trusted-entities", "", "YAML `file` of keys; only apps signed with one of them may run")
	flags.IntVar(&o.cfg.Slots, "slots", node.DefaultSlots, "how many messages to work on at a time")
	flags.BoolVar(&o.superExec.shareLogs, "share-logs", false, "send what ClientApps print to the link, where flwr log shows it")
	flags.BoolVar(&o.cfg.DeclineSwarm, "decline-swarm", false, "exchange nothing with other nodes, and stay hidden from them")
	bytesFlag(flags, &o.cfg.SwarmUploadRate, "swarm-upload-rate", 0, unlimited, "most `bytes` per second to send to other nodes, such as 2MB")
	flags.IntVar(&o.cfg.RuntimePort, "runtime-port", 0, "port of the Runtime API on loopback (default: chosen once and kept in the data directory)")
	flags.BoolVar(&o.cfg.LeaveSuperExec, "leave-superexec", false, "when stopped, leave SuperExec and apps running for the next node on this data")
}

type nodeOptions struct {
	cfg       node.Config
	join      string
	overlay   overlayOptions
	superExec superExecOptions
	local     localOptions
	pprof     string
}

// config gives what the flags say, and reads the files that they name.
func (o nodeOptions) config() (cfg node.Config, err error) {
	cfg = o.cfg
	cfg.Software, cfg.ShareLogs = software(), o.superExec.shareLogs
	if cfg.Overlay, err = o.overlay.settings(); err != nil {
		return cfg, err
	}
	if cfg.Local, err = o.local.guard(); err != nil {
		return cfg, err
	}
	cfg.Join, err = readJoin(o.join)
	return cfg, err
}

func (o nodeOptions) run(cmd *cobra.Command) error {
	if err := checkPprof(o.pprof); err != nil {
		return err
	}
	cfg, err := o.config()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	cfg.OnConnected = sync.OnceFunc(func() { fmt.Fprintln(out, readyPrefix+"node") })
	if cfg.SuperExec, err = o.superExec.launcher(cmd.Context()); err != nil {
		return err
	}
	return daemonRun[*node.Node]{
		kind: "node", dataDir: cfg.DataDir, pprof: o.pprof,
		open: func(ctx context.Context) (*node.Node, error) {
			n, err := node.Open(ctx, cfg)
			if err == nil { // printed before the line that says that the node is ready
				fmt.Fprintf(out, "node %s of link %s\n", n.PeerID(), n.Link())
				fmt.Fprintf(out, "Runtime API %s\n", n.RuntimeAddress())
			}
			return n, err
		},
	}.run(cmd)
}
