package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/ticket"
	"github.com/rhizome-fl/rhizome/p2p/tunnel"
)

// targetFile remembers which link the proxy belongs to.
const targetFile = "link.json"

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

// rememberedLink is what targetFile holds.
type rememberedLink struct {
	Peer  peer.ID  `json:"peer_id"`
	Addrs []string `json:"addresses"`
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
	target, err := target(cmd.Context(), join, dir, overlay)
	if err != nil {
		return err
	}
	overlay.Peerstore().AddAddrs(target.Peer, target.Addrs, peerstore.PermanentAddrTTL)
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "flwr address %s\n", listener.Addr())
	fmt.Fprintln(out, readyPrefix+"proxy")
	return tunnel.Serve(cmd.Context(), listener, func(ctx context.Context) (net.Conn, error) {
		return overlay.DialStream(ctx, target.Peer, link.ControlProtocol)
	})
}

// parseJoin reads --join; nil if there is none, for the link of an earlier start.
func (o proxyOptions) parseJoin() (*ticket.Ticket, error) {
	if o.join == "" {
		if _, err := os.Stat(filepath.Join(o.data, targetFile)); errors.Is(err, fs.ErrNotExist) {
			return nil, errNoTarget
		}
		return nil, nil
	}
	text, err := readJoin(o.join)
	if err != nil {
		return nil, err
	}
	t, err := ticket.ParseJoin(text)
	if err != nil {
		return nil, fmt.Errorf("--join: %w", err)
	}
	if t.Role != "" && t.Role != ticket.RoleOperator {
		return nil, fmt.Errorf("--join: the ticket is for the role %s: ask for one with the role %s", t.Role, ticket.RoleOperator)
	}
	return &t, nil
}

var errNoTarget = errors.New("this proxy does not know its SuperLink yet: give it an operator ticket with --join")

// target joins with --join, or takes the link of an earlier start.
func target(ctx context.Context, t *ticket.Ticket, dir *datadir.Dir, host *p2p.Host) (p2p.Target, error) {
	if t == nil {
		return recallLink(dir)
	}
	target := p2p.Target{Peer: t.Link, Addrs: t.Addrs}
	answer, err := p2p.Join(ctx, host, target, p2p.JoinRequest{TokenID: t.TokenID, Secret: t.Secret})
	if err != nil {
		return target, fmt.Errorf("join SuperLink %s: %w", t.Link, err)
	}
	if answer.Role != ticket.RoleOperator {
		return target, fmt.Errorf("join SuperLink %s: this peer is a member as %s and not as operator", t.Link, answer.Role)
	}
	return target, rememberLink(dir, target)
}

func rememberLink(dir *datadir.Dir, target p2p.Target) error {
	remembered := rememberedLink{Peer: target.Peer}
	for _, addr := range target.Addrs {
		remembered.Addrs = append(remembered.Addrs, addr.String())
	}
	text, err := json.Marshal(remembered)
	if err != nil {
		return err
	}
	if err := os.WriteFile(dir.Path(targetFile), text, 0o600); err != nil {
		return fmt.Errorf("remember the link: %w", err)
	}
	return nil
}

func recallLink(dir *datadir.Dir) (p2p.Target, error) {
	text, err := os.ReadFile(dir.Path(targetFile))
	if errors.Is(err, fs.ErrNotExist) {
		return p2p.Target{}, errNoTarget
	}
	var remembered rememberedLink
	if err == nil {
		err = json.Unmarshal(text, &remembered)
	}
	if err != nil {
		return p2p.Target{}, fmt.Errorf("recall the link: %w; give it again with --join", err)
	}
	target := p2p.Target{Peer: remembered.Peer}
	for _, text := range remembered.Addrs {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return target, fmt.Errorf("recall the link: address %q: %w", text, err)
		}
		target.Addrs = append(target.Addrs, addr)
	}
	return target, nil
}
