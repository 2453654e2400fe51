package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/node"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
)

func newDoctor() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out how this site reaches its link, and what is in the way",
		Long: `Tries every address of the link and of its relays as a node would: names, TCP, QUIC,
WebSocket, the proxy, the proof of the peer id, reservations and circuits at relays. It looks
at the NAT through their eyes, compares clocks, measures round trips and throughput, and
ends with one sentence for you and one for whoever runs the firewall.

It examines the site of a link or node by its data directory, whether or not the daemon is
running; or, with a ticket, a site before it joins. It never joins and uses up no ticket. It
takes 20 seconds at most, and sends nothing to anybody but the link, its relays, the proxy,
name servers and the router of this network.

Exit status 0 means that the examination was made, whatever it found.`,
		Example: `  rhizome doctor --join @hospital.ticket                 # before joining
  rhizome doctor --data ./n1                             # a site that has joined
  rhizome doctor --join rhz1... --proxy http://proxy.example:3128 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	dataFlag(cmd, &o.data, "node")
	flags := cmd.Flags()
	flags.StringVar(&o.join, "join", "", "`ticket`, multiaddr, or @FILE, to examine the way to instead of what the data directory knows")
	flags.StringArrayVar(&o.overlay.relays, "relay", nil, "`multiaddr` of a relay to examine too (repeat for more)")
	flags.StringVar(&o.overlay.proxy, "proxy", "", "`URL` of an HTTP CONNECT proxy for WebSocket addresses (default: HTTPS_PROXY)")
	flags.StringVar(&o.overlay.ca, "websocket-ca", "", "`file` (PEM) with the authority that signs the wss certificates of others")
	jsonFlag(cmd, &o.json)
	return cmd
}

type doctorOptions struct {
	data, join string
	overlay    overlayOptions
	json       bool
}

func (o doctorOptions) run(cmd *cobra.Command) error {
	overlay, err := o.overlay.settings()
	if err != nil {
		return err
	}
	if !cmd.Flags().Changed("log-level") {
		logs.Quiet() // the report says what failed
	}
	cfg, err := o.config(cmd, overlay)
	if err != nil {
		return err
	}
	report, err := doctor.Examine(cmd.Context(), cfg)
	if errors.Is(err, doctor.ErrNothing) && cfg.OwnLink {
		return errors.New("this link has no relay that could look at it from outside: run rhizome doctor --join at a node's site, with one of the link's tickets")
	}
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(cmd, report)
	}
	return showReport(cmd.OutOrStdout(), report)
}

// config settles which link to examine the way to, and with which identity.
func (o doctorOptions) config(cmd *cobra.Command, overlay p2p.Overlay) (doctor.Config, error) {
	cfg := doctor.Config{
		Relays: overlay.Relays, Proxy: overlay.Proxy, RootCAs: overlay.RootCAs, Software: software(), Port: o.port(),
		NewHost: examiner,
	}
	targets, running, err := o.targets(cmd)
	if err != nil && (o.join == "" || !errors.Is(err, errNoTargets)) {
		return cfg, err
	}
	if err == nil {
		if err := targets.Apply(&cfg); err != nil {
			return cfg, err
		}
	}
	cfg.Running, cfg.Daemon = running, targets.Paths
	if o.join != "" {
		if err := o.useTicket(&cfg); err != nil {
			return cfg, err
		}
	}
	if !running { // or else the daemon's connections would be confused with ours
		cfg.Identity, err = o.identity()
	}
	return cfg, err
}

// examiner makes a host for the doctor.
func examiner(cfg doctor.HostConfig) (host.Host, error) {
	h, err := p2p.NewHost(p2p.Config{
		Identity: cfg.Identity, Kind: p2p.Leaf, Gate: cfg.Gate, UserAgent: cfg.Software,
		Overlay: p2p.Overlay{NoListen: !cfg.Listen, Port: cfg.Port, Proxy: cfg.Proxy, RootCAs: cfg.RootCAs},
	})
	if err != nil {
		return nil, err // not h: a nil *p2p.Host would make an interface that is not nil
	}
	return h, nil
}

// useTicket replaces what the data directory knew by what the ticket says.
func (o doctorOptions) useTicket(cfg *doctor.Config) error {
	text, err := readJoin(o.join)
	if err != nil {
		return err
	}
	t, err := ticket.ParseJoin(text)
	if err != nil {
		return fmt.Errorf("--join: %w", err)
	}
	if cfg.OwnLink && cfg.Link == t.Link {
		return errors.New("--join: the ticket belongs to the link that lives in this data directory: leave --join out, or examine the link from another site")
	}
	if cfg.Link != "" {
		if err := t.For(cfg.Link); err != nil {
			return fmt.Errorf("--join: %w, to which %s belongs: name another --data", err, o.data)
		}
	}
	cfg.Link, cfg.Addrs, cfg.OwnLink = t.Link, t.Addrs, false
	if t.Federation != "" {
		cfg.Federation = t.Federation
	}
	return nil
}

// errNoTargets says that the data directory does not know which link it belongs to.
var errNoTargets = errors.New("there is nothing to examine yet: name a data directory with --data, or a ticket with --join")

// targets asks the daemon that runs on the data directory, or else reads what it left there.
func (o doctorOptions) targets(cmd *cobra.Command) (targets doctor.Targets, running bool, err error) {
	client, err := admin.NewClient(o.data)
	if err != nil {
		return targets, false, err
	}
	defer client.Close()
	err = client.Call(cmd.Context(), http.MethodGet, "/doctor", nil, &targets)
	if err == nil {
		return targets, true, nil
	}
	if !errors.Is(err, admin.ErrNotRunning) {
		return targets, true, fmt.Errorf("the daemon on %s does not say what to examine (%w): examine a relay's site from the links that use it", o.data, err)
	}
	kind, err := datadir.KindOf(o.data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return targets, false, errNoTargets
	case err != nil:
		return targets, false, err
	}
	targets, err = o.recall(cmd.Context(), kind)
	return targets, false, err
}

// recall reads the data directory of a daemon that is not running.
func (o doctorOptions) recall(ctx context.Context, kind string) (doctor.Targets, error) {
	switch kind {
	case "node":
		targets, err := node.RecallTargets(ctx, o.data)
		if errors.Is(err, node.ErrNoLink) {
			err = errNoTargets
		}
		return targets, err
	case "link":
		return o.recallOwnLink()
	case "proxy":
		return remote.RecallTargets(o.data)
	}
	return doctor.Targets{}, fmt.Errorf("%s holds the data of a %s: name the data directory of a link, a node or a proxy, or a ticket with --join", o.data, kind)
}

// recallOwnLink takes the relays of a link from the ticket of its last start.
func (o doctorOptions) recallOwnLink() (doctor.Targets, error) {
	text, err := os.ReadFile(filepath.Join(o.data, ticketFile))
	if errors.Is(err, fs.ErrNotExist) {
		if len(o.overlay.relays) == 0 {
			return doctor.Targets{}, errors.New("this link has never been ready: start it, or name its relays with --relay")
		}
		identity, err := o.identity()
		return doctor.Targets{Link: identity.ID, OwnLink: true}, err
	}
	if err != nil {
		return doctor.Targets{}, fmt.Errorf("read the link's last ticket: %w", err)
	}
	t, err := ticket.Parse(string(text))
	if err != nil && !errors.Is(err, ticket.ErrExpired) {
		return doctor.Targets{}, fmt.Errorf("read the link's last ticket: %w", err)
	}
	targets := doctor.Targets{Link: t.Link, OwnLink: true, Federation: t.Federation}
	for _, a := range t.Addrs {
		targets.Addresses = append(targets.Addresses, a.String())
	}
	return targets, nil
}

// identity returns that of the data directory; zero if it has none, since the doctor makes none.
func (o doctorOptions) identity() (identity.Identity, error) {
	path := filepath.Join(o.data, p2p.IdentityFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return identity.Identity{}, nil
	}
	return identity.LoadOrCreate(path)
}

// port returns the one that the daemon has chosen for itself; 0: none yet.
func (o doctorOptions) port() int {
	text, err := os.ReadFile(filepath.Join(o.data, p2p.PortFile))
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || port < 0 || port > 1<<16-1 {
		return 0
	}
	return port
}
