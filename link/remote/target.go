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
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// targetFile remembers in the data directory which link the peer belongs to.
const targetFile = "link.json"

// errNoTarget is returned when there is neither a ticket nor an earlier start.
var errNoTarget = errors.New("the SuperLink is not known yet: give a ticket with --join")

// rememberedLink is what targetFile holds.
type rememberedLink struct {
	Peer  peer.ID  `json:"peer_id"`
	Addrs []string `json:"addresses"`
}

// Knows reports whether a data directory belongs to a proxy or an observer that has joined.
func Knows(dataDir string) bool {
	_, err := os.Stat(filepath.Join(dataDir, targetFile))
	return err == nil
}

// parseJoin reads the value of --join; nil if it is empty, for the link of an earlier start.
func parseJoin(text, data string, roles ...join.Role) (*ticket.Ticket, error) {
	if text == "" {
		if !Knows(data) {
			return nil, errNoTarget
		}
		return nil, nil
	}
	t, err := ticket.ParseJoin(text)
	if err != nil {
		return nil, fmt.Errorf("--join: %w", err)
	}
	if t.Role != "" && !slices.Contains(roles, t.Role) {
		return nil, fmt.Errorf("--join: the ticket is for the role %s: ask for one with the role %s", t.Role, anyOf(roles))
	}
	return &t, nil
}

// reachLink joins with a ticket, or uses the link of an earlier start, and tells the host where
// that link is.
func reachLink(ctx context.Context, t *ticket.Ticket, dir *datadir.Dir, host *p2p.Host, roles ...join.Role) (target reach.Target, err error) {
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

func joinAs(ctx context.Context, t *ticket.Ticket, host *p2p.Host, roles ...join.Role) (reach.Target, error) {
	target := reach.Target{Peer: t.Link, Addrs: t.Addrs}
	answer, err := join.Ask(ctx, host, target, join.Request{TokenID: t.TokenID, Secret: t.Secret})
	if err != nil {
		return target, fmt.Errorf("join SuperLink %s: %w", t.Link, err)
	}
	if !slices.Contains(roles, answer.Role) {
		return target, fmt.Errorf("join SuperLink %s: this peer is a member as %s and not as %s", t.Link, answer.Role, anyOf(roles))
	}
	return target, nil
}

// anyOf lists roles for use in a sentence.
func anyOf(roles []join.Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return strings.Join(names, " or ")
}

func rememberLink(dir *datadir.Dir, target reach.Target) error {
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

func recallLink(dir *datadir.Dir) (reach.Target, error) {
	text, err := os.ReadFile(dir.Path(targetFile))
	if errors.Is(err, fs.ErrNotExist) {
		return reach.Target{}, errNoTarget
	}
	var remembered rememberedLink
	if err == nil {
		err = json.Unmarshal(text, &remembered)
	}
	if err != nil {
		return reach.Target{}, fmt.Errorf("recall the link: %w; give it again with --join", err)
	}
	target := reach.Target{Peer: remembered.Peer}
	for _, text := range remembered.Addrs {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return target, fmt.Errorf("recall the link: address %q: %w", text, err)
		}
		target.Addrs = append(target.Addrs, addr)
	}
	return target, nil
}
