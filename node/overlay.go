package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/session"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/reach"
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
		if errors.Is(err, admission.ErrRefused) {
			return fmt.Errorf("SuperLink %s refuses this node, which is not a member of its federation (or no longer one): only a node "+
				"with a new data directory can join, with a new ticket: %w", n.target.Peer, err)
		}
		return err
	})
	return group.Wait()
}

func (n *Node) serveSession(ctx context.Context, s network.Stream) error {
	err := n.session.Serve(ctx, s, n.office)
	var refused *session.RefusedError
	if errors.Is(err, session.ErrLeft) || errors.As(err, &refused) && refused.Final() {
		return reach.Permanent(err)
	}
	return err
}

// fetch brings objects from the link, and those of an offer with the help of other nodes.
func (n *Node) fetch(ctx context.Context, w messages.Want) error {
	link := objects.Provider{Peer: n.target.Peer}
	if w.Offered && n.swarm.on.Load() {
		return n.fetcher.FetchSwarm(ctx, w.RunID, w.IDs, link, n.swarm.searcher)
	}
	return n.fetcher.Fetch(ctx, w.RunID, w.IDs, link)
}

// openExchange serves the objects of answers, and prepares to fetch those of instructions.
func (n *Node) openExchange() {
	n.fetcher = objects.NewFetcher(n.host, n.objects, objects.FetchOptions{Meter: meter{n}, Arrived: n.swarm.board.Arrived})
	server := objects.NewServer(n.host, n.objects, n.authorize, objects.ServerOptions{
		Meter: meter{n}, Guest: n.swarm.isGuest, Guests: n.swarm.guests(), Pace: n.swarm.pace,
	})
	n.daemon.Opened(func() error { server.Close(); return nil })
	n.daemon.Opened(n.swarm.open(n.host))
}

// meter counts bytes from the link as a sign of life: a line that is full of objects may delay
// the frames of the session. It also counts bytes to and from other nodes.
type meter struct{ node *Node }

// Sent implements objects.Meter. What is sent may only have gone into a buffer.
func (m meter) Sent(to peer.ID, _ uint64, bytes int) {
	if m.node.swarm.isGuest(to) {
		m.node.swarm.given.Add(int64(bytes))
	}
}

// Received implements objects.Meter.
func (m meter) Received(from peer.ID, _ uint64, bytes int) {
	if m.node.swarm.isGuest(from) {
		m.node.swarm.taken.Add(int64(bytes))
		return
	}
	m.node.session.Alive()
}
