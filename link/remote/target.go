package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/ticket"
)

// targetFile remembers in the data directory which link the peer belongs to.
const targetFile = "link.json"

// errNoTarget: there is neither a ticket nor an earlier start.
var errNoTarget = errors.New("the SuperLink is not known yet: give a ticket with --join")

// rememberedLink is what targetFile holds.
type rememberedLink struct {
	Peer  peer.ID  `json:"peer_id"`
	Addrs []string `json:"addresses"`
}

// Knows tells whether a data directory is that of a proxy or an observer that has joined.
func Knows(dataDir string) bool {
	_, err := os.Stat(filepath.Join(dataDir, targetFile))
	return err == nil
}

// parseJoin reads what --join says; nil if it says nothing, for the link of an earlier start.
func parseJoin(join, data string, roles ...string) (*ticket.Ticket, error) {
	if join == "" {
		if !Knows(data) {
			return nil, errNoTarget
		}
		return nil, nil
	}
	t, err := ticket.ParseJoin(join)
	if err != nil {
		return nil, fmt.Errorf("--join: %w", err)
	}
	if t.Role != "" && !slices.Contains(roles, t.Role) {
		return nil, fmt.Errorf("--join: the ticket is for the role %s: ask for one with the role %s", t.Role, strings.Join(roles, " or "))
	}
	return &t, nil
}

// reach joins with a ticket, or takes the link of an earlier start, and has the host know
// where it is.
func reach(ctx context.Context, t *ticket.Ticket, dir *datadir.Dir, host *p2p.Host, roles ...string) (target p2p.Target, err error) {
	if t == nil {
		target, err = recallLink(dir)
	} else if target, err = joinAs(ctx, t, host, roles...); err == nil {
		err = rememberLink(dir, target)
	}
	if err == nil {
		host.Peerstore().AddAddrs(target.Peer, target.Addrs, peerstore.PermanentAddrTTL)
	}
	return target, err
}

func joinAs(ctx context.Context, t *ticket.Ticket, host *p2p.Host, roles ...string) (p2p.Target, error) {
	target := p2p.Target{Peer: t.Link, Addrs: t.Addrs}
	answer, err := p2p.Join(ctx, host, target, p2p.JoinRequest{TokenID: t.TokenID, Secret: t.Secret})
	if err != nil {
		return target, fmt.Errorf("join SuperLink %s: %w", t.Link, err)
	}
	if !slices.Contains(roles, answer.Role) {
		return target, fmt.Errorf("join SuperLink %s: this peer is a member as %s and not as %s", t.Link, answer.Role, strings.Join(roles, " or "))
	}
	return target, nil
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
	if err := datadir.WriteFile(dir.Path(targetFile), text, 0o600); err != nil {
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
