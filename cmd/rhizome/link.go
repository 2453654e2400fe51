package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/link"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/sessions"
	"github.com/rhizome-fl/rhizome/link/state"
)

func newLink() *cobra.Command {
	var o linkOptions
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Run a SuperLink: the hub of a federation",
		Long: `A SuperLink takes runs from flwr and gives their work to its nodes. It keeps everything
in its data directory and continues from there after a crash. Nodes reach it directly or
through the relays that it is given; nobody gets in without a ticket or an entry in the
member list.`,
		Example: `  rhizome link --data ./hub
  rhizome link --data ./hub --relay /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW...   # behind a firewall`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.define(cmd)
	return cmd
}

func (o *linkOptions) define(cmd *cobra.Command) {
	dataFlag(cmd, &o.cfg.DataDir, "link")
	overlayFlags(cmd, &o.overlay)
	superExecFlags(cmd, &o.superExec)
	localFlags(cmd, &o.local)
	pprofFlag(cmd, &o.pprof)
	flags := cmd.Flags()
	flags.StringVar(&o.cfg.HTTP, "http", link.DefaultHTTP, "`host:port` of Flower's APIs")
	flags.StringSliceVar(&o.local.names, "http-name", nil, "host `names` under which clients reach the APIs, besides localhost and those of the certificate")
	flags.StringVar(&o.cfg.CertFile, "tls-cert", "", "certificate `file` (PEM) for the APIs")
	flags.StringVar(&o.cfg.KeyFile, "tls-key", "", "key `file` (PEM) of the certificate")
	flags.StringVar(&o.superExec.ca, "tls-ca", "", "`file` (PEM) that the link's own SuperExec trusts (default: the certificate)")
	flags.StringVar(&o.controlToken, "control-token-file", "", "`file` with the bearer token that the Control API demands (required on addresses other than loopback)")
	flags.StringVar(&o.superExec.secretFile, "superexec-auth-secret-file", "", "`file` with the secret that a SuperExec must know (required for one on another machine)")
	flags.BoolVar(&o.cfg.Insecure, "insecure", false, "serve the APIs without TLS and tokens even on addresses other than loopback")
	flags.BoolVar(&o.cfg.FleetHTTP, "fleet-http", false, "let stock flower-supernode processes join over HTTP")
	flags.BoolVar(&o.cfg.RegisteredNodesOnly, "enable-supernode-auth", false, "accept only stock SuperNodes whose keys were registered with flwr supernode register")
	flags.StringVar(&o.cfg.Federation, "federation", state.FederationDefault, "`name` of the federation")
	flags.BoolVar(&o.cfg.Swarm, "swarm", false, "let nodes fetch from each other what goes to all of them; this shows them each other's addresses")
	flags.IntVar(&o.cfg.MaxNodes, "max-nodes", link.DefaultMaxNodes, "nodes with a session at a time; each takes about 150 kB of memory and an open file")
	flags.DurationVar(&o.cfg.Heartbeat, "heartbeat", sessions.DefaultHeartbeat, "how often a silent session is probed")
	flags.DurationVar(&o.cfg.Grace, "grace", sessions.DefaultGrace, "how long a node may be away before its messages fail")
	ageFlag(flags, &o.cfg.Keep.Age, "keep-runs", defaultKeepRuns, forever, "how long finished runs are kept with their logs: days (30d), a duration (36h) or forever")
	bytesFlag(flags, &o.cfg.Keep.Bytes, "keep-bytes", defaultKeepBytes, forever, "how much space the logs and contexts of finished runs may take, or forever; the oldest go first")
	bytesFlag(flags, &o.cfg.KeepSpare, "keep-spare", defaultKeepSpare, forever, "how much space objects of unfinished runs may take once no message needs them, or forever; the oldest go first")
	flags.BoolVar(&o.cfg.LeaveSuperExec, "leave-superexec", false, "when stopped, leave SuperExec and apps running for the next link on this data")
}

type linkOptions struct {
	cfg       link.Config
	overlay   overlayOptions
	superExec superExecOptions
	local     localOptions
	pprof     string

	controlToken string // the file that holds it
}

// readSecrets reads the token and the secret from their files.
func (o linkOptions) readSecrets(cfg *link.Config) error {
	token, err := readSecret("--control-token-file", o.controlToken)
	if err != nil {
		return err
	}
	cfg.ControlToken = bytes.TrimSpace(token) // as it goes into a header
	cfg.ExecSecret, err = readSecret("--superexec-auth-secret-file", o.superExec.secretFile)
	return err
}

// readSecret reads the file that a flag names, if it names one.
func readSecret(flag, path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if len(bytes.TrimSpace(secret)) == 0 {
		return nil, fmt.Errorf("%s: %s is empty", flag, path)
	}
	return secret, nil
}

// config gives what the flags say, and reads the files that they name.
func (o linkOptions) config() (cfg link.Config, err error) {
	cfg = o.cfg
	cfg.Software = software()
	if cfg.Overlay, err = o.overlay.settings(); err != nil {
		return cfg, err
	}
	if cfg.Local, err = o.local.guard(); err != nil {
		return cfg, err
	}
	return cfg, o.readSecrets(&cfg)
}

func (o linkOptions) run(cmd *cobra.Command) error {
	if err := checkPprof(o.pprof); err != nil {
		return err
	}
	cfg, err := o.config()
	if err != nil {
		return err
	}
	if o.superExec.ca == "" {
		o.superExec.ca = cfg.CertFile
	}
	if cfg.SuperExec, err = o.superExec.launcher(cmd.Context()); err != nil {
		return err
	}
	return daemonRun[*link.Link]{
		kind: "link", dataDir: cfg.DataDir, pprof: o.pprof,
		open:  func(ctx context.Context) (*link.Link, error) { return link.Open(ctx, cfg) },
		greet: func(ctx context.Context, l *link.Link) { o.greet(ctx, cmd, l) },
	}.run(cmd)
}

// greet prints what the operator needs next.
func (o linkOptions) greet(ctx context.Context, cmd *cobra.Command, l *link.Link) {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "link %s\n", l.PeerID())
	for _, address := range l.Addresses() {
		fmt.Fprintf(out, "address %s\n", address)
	}
	fmt.Fprintf(out, "flwr address %s\n", l.HTTPAddress())
	fmt.Fprintln(out, readyPrefix+"link")
	join, err := o.firstTicket(ctx, l, out)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		fmt.Fprintf(out, "no ticket yet: %v\n", err)
	default:
		fmt.Fprintf(out, "to join: rhizome node --join %s\n", join)
	}
}

// ticketFile holds the ticket that is made at each start.
const ticketFile = "join.ticket"

// firstTicket makes a ticket and gives what to write after --join. A person at a terminal
// sees the ticket itself; a log, which others may read, names only the file that holds it.
func (o linkOptions) firstTicket(ctx context.Context, l *link.Link, out io.Writer) (string, error) {
	made, err := l.Tickets().Create(ctx, membership.TicketRequest{})
	if err != nil {
		return "", err
	}
	path := filepath.Join(o.cfg.DataDir, ticketFile)
	if err := os.WriteFile(path, []byte(made.Text+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the ticket: %w", err)
	}
	if isTerminal(out) {
		return made.Text, nil
	}
	return "@" + path, nil
}
