package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// ErrNoLink says that the node does not know to whom it belongs.
var ErrNoLink = errors.New("this node does not know its SuperLink yet: give it a ticket with --join")

// joinRequest is what the link must be shown before the first session.
type joinRequest struct {
	needed  bool
	request join.Request
}

// checkJoin refuses a bad --join before anything is created for it.
func (n *Node) checkJoin() error {
	_, err := os.Stat(n.cfg.DataDir)
	isNew := errors.Is(err, fs.ErrNotExist)
	if n.cfg.Join == "" {
		if isNew {
			return ErrNoLink
		}
		return nil // openTarget knows whether there was one before
	}
	if _, err := ticket.ParseJoin(n.cfg.Join); err != nil && (isNew || !errors.Is(err, ticket.ErrExpired)) {
		return fmt.Errorf("--join: %w", err)
	}
	return nil
}

// openTarget settles to whom the node belongs: what --join says, or what it said earlier.
//
//	data directory     --join          then
//	new                nothing         ErrNoLink
//	new                link A          join A
//	of A               nothing         A as before
//	of A               link A          A at the new addresses; joined again if the ticket is a different one
//	of A               link B          an error: node ids, contexts and unsent answers are A's
//	refused by A       link B          join B
func (n *Node) openTarget(ctx context.Context) error {
	identity, err := n.store.Identity(ctx)
	if err != nil {
		return err
	}
	if n.cfg.Join == "" {
		return n.rememberedTarget(identity)
	}
	t, err := ticket.ParseJoin(n.cfg.Join)
	known := identity.Joined && identity.Link == t.Link.String()
	if err != nil && (!known || !errors.Is(err, ticket.ErrExpired)) { // a member needs no ticket
		return fmt.Errorf("--join: %w", err)
	}
	if identity.Joined && identity.Link != t.Link.String() {
		return fmt.Errorf("data directory %s belongs to a node of SuperLink %s, and --join names %s: use another data directory",
			n.cfg.DataDir, identity.Link, t.Link)
	}
	if t.Role != "" && t.Role != join.RoleNode {
		return fmt.Errorf("--join: the ticket is for role %s, not for a node: ask for a ticket with the role %s", t.Role, join.RoleNode)
	}
	n.target = reach.Target{Peer: t.Link, Addrs: t.Addrs}
	n.ticket = joinRequest{
		needed:  !known || t.TokenID != "" && t.TokenID != identity.TokenID,
		request: join.Request{TokenID: t.TokenID, Secret: t.Secret, Name: n.cfg.Name},
	}
	_, err = n.store.UpdateIdentity(ctx, func(id *state.Identity) {
		id.Link, id.LinkAddrs = t.Link.String(), texts(t.Addrs)
		if t.Federation != "" {
			id.Federation = t.Federation
		}
		if t.TokenID != "" { // a multiaddr says nothing about the swarm
			id.Swarm = t.Swarm
		}
	})
	return err
}

func (n *Node) rememberedTarget(identity state.Identity) error {
	if identity.Link == "" {
		return ErrNoLink
	}
	link, err := peer.Decode(identity.Link)
	if err != nil {
		return fmt.Errorf("data directory %s names SuperLink %q: %w", n.cfg.DataDir, identity.Link, err)
	}
	n.target.Peer = link
	for _, text := range identity.LinkAddrs {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return fmt.Errorf("data directory %s names address %q: %w", n.cfg.DataDir, text, err)
		}
		n.target.Addrs = append(n.target.Addrs, addr)
	}
	if !identity.Joined {
		// The node was stopped before the link let it in, and the ticket is not kept.
		return fmt.Errorf("this node has not joined yet: give it the ticket again with --join")
	}
	return nil
}

// join makes the node a member, unless it already is one. It waits for a link that is away.
func (n *Node) join(ctx context.Context) error {
	if !n.ticket.needed {
		return nil
	}
	log.Info("joining", "link", n.target.Peer)
	answer, err := join.Ask(ctx, n.host, n.target, n.ticket.request)
	if err != nil {
		return fmt.Errorf("join SuperLink %s: %w", n.target.Peer, err)
	}
	if answer.Role != "" && answer.Role != join.RoleNode {
		return fmt.Errorf("join SuperLink %s: this peer is a member as %s and not as node: use another data directory", n.target.Peer, answer.Role)
	}
	_, err = n.store.UpdateIdentity(ctx, func(id *state.Identity) {
		id.Joined, id.TokenID, id.Federation = true, n.ticket.request.TokenID, answer.Federation
	})
	if err != nil {
		return err
	}
	log.Info("joined", "link", n.target.Peer, "federation", answer.Federation)
	return nil
}

func texts(addrs []ma.Multiaddr) []string {
	var all []string
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return all
}
