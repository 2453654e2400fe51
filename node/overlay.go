package node

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/node/intake"
	"github.com/rhizome-fl/rhizome/node/session"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	wire "github.com/rhizome-fl/rhizome/protocol/session"
)

// runOverlay joins, and then holds the session and follows the news until ctx ends.
func (n *Node) runOverlay(ctx context.Context) error {
	if err := n.join(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.news.follow(ctx) })
	group.Go(func() error {
		err := n.host.Keep(ctx, n.target, wire.ProtocolID, n.serveSession)
		if errors.Is(err, session.ErrLeft) {
			return nil // the rest of the node is about to stop
		}
		return err
	})
	return group.Wait()
}

func (n *Node) serveSession(ctx context.Context, s network.Stream) error {
	err := n.session.Serve(ctx, s)
	var refused *session.RefusedError
	if errors.Is(err, session.ErrLeft) || errors.As(err, &refused) && refused.Final() {
		return p2p.Permanent(err)
	}
	return err
}

// fetch brings objects from the link.
func (n *Node) fetch(ctx context.Context, w intake.Want) error {
	return n.fetcher.Fetch(ctx, w.RunID, w.IDs, objects.Provider{Peer: n.target.Peer})
}

// openExchange serves the objects of answers, and prepares to fetch those of instructions.
func (n *Node) openExchange() {
	n.fetcher = objects.NewFetcher(n.host, n.objects, objects.FetchOptions{Meter: aliveMeter{n}})
	server := objects.NewServer(n.host, n.objects, n.authorize, objects.ServerOptions{})
	n.opened(func() error { server.Close(); return nil })
}

// aliveMeter takes arriving bytes as a sign of life: a line that is full of objects may
// hold up the frames of the session.
type aliveMeter struct{ node *Node }

// Sent implements objects.Meter. What is sent may only have gone into a buffer.
func (aliveMeter) Sent(peer.ID, uint64, int) {}

// Received implements objects.Meter.
func (m aliveMeter) Received(peer.ID, uint64, int) { m.node.session.Alive() }
