package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/link/sessions"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
	"github.com/rhizome-fl/rhizome/p2p/gossip"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/reach"
	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// openOverlay makes the host and everything that speaks over it.
func (l *Link) openOverlay(context.Context) (err error) {
	l.host, err = p2p.Open(l.dir, p2p.Config{
		Kind: p2p.Hub, Gate: l.members, Overlay: l.cfg.Overlay, UserAgent: l.cfg.Software, MaxPeers: l.cfg.MaxNodes,
	})
	if err != nil {
		return err
	}
	l.daemon.Opened(l.host.Close)
	l.tickets = membership.NewTickets(l.members, membership.Issuer{
		Link: l.host.ID(), Key: l.host.Identity().Key, Addresses: l.awaitAddresses, Federation: l.cfg.Federation, Swarm: l.cfg.Swarm,
	})
	// Announcements are for nodes: operators and observers are not told what the runs need.
	isNode := func(p peer.ID) bool { return l.members.Is(p, join.RoleNode) }
	l.gossip, err = gossip.NewPublisher(l.host, gossip.Config{Link: l.host.ID(), Federation: l.cfg.Federation, Member: isNode})
	if err != nil {
		return fmt.Errorf("start announcements: %w", err)
	}
	l.daemon.Opened(func() error { l.gossip.Close(); return nil })
	l.nodes = sessions.New(sessions.Config{
		Host: l.host, Store: l.store, Objects: l.objects, Office: l.office, Fetch: l.fetch, Federation: l.cfg.Federation,
		Heartbeat: l.cfg.Heartbeat, Grace: l.cfg.Grace, Relays: l.relayAddresses, Swarm: l.cfg.Swarm,
	})
	l.openExchange()
	answers := doctor.Serve(l.host, func(p peer.ID) bool { return l.members.Is(p) })
	l.daemon.Opened(func() error { answers.Close(); return nil })
	return nil
}

// relayAddresses are the relays that carry circuits to the link now.
func (l *Link) relayAddresses() []string {
	var relays []string
	seen := make(map[string]bool)
	for _, a := range l.host.Addresses() {
		if relay, ok := addr.Hop(a); ok && !seen[relay.String()] {
			seen[relay.String()] = true
			relays = append(relays, relay.String())
		}
	}
	return relays
}

// vouch tells a relay who the members are, for as long as ctx lasts. A relay that refuses is
// asked again now and then: its operator may have to allow the link first.
func (l *Link) vouch(ctx context.Context, info peer.AddrInfo) error {
	target := reach.Target{Peer: info.ID, Addrs: info.Addrs}
	var said string // what the relay said when it refused
	err := l.host.Keep(ctx, target, relay.VouchProtocol, func(ctx context.Context, s network.Stream) error {
		err := l.vouched.Vouch(ctx, s)
		if !errors.Is(err, relay.ErrVouchRefused) {
			return err
		}
		if err.Error() != said {
			said = err.Error()
			log.Warn("the relay does not accept this link's list of members; nodes may be refused there", "relay", info.ID, "err", err)
		}
		pause := time.NewTimer(vouchAgain)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	log.Warn("the relay no longer accepts this link's list of members; nodes may be refused there", "relay", info.ID, "err", err)
	return nil
}

// announce tells the nodes about a run, by gossip and, where gossip does not reach, by session.
func (l *Link) announce(ctx context.Context, kind gossip.Kind, run state.Run) {
	signed, err := l.gossip.Publish(ctx, gossip.Announcement{
		Kind: kind, RunID: run.ID, SeriesID: run.SeriesID, FabHash: run.FABHash,
	})
	if err != nil {
		log.Warn("a run was not announced; nodes learn of it with their first message", "run", run.ID, "kind", kind, "err", err)
		return
	}
	l.nodes.Hint(signed)
}

// openExchange lets nodes fetch the objects that concern them, and fetches objects from them.
func (l *Link) openExchange() {
	// Nodes dial the link, never the other way round: two hosts that dial each other at once may
	// both fail.
	l.fetcher = objects.NewFetcher(l.host, l.objects, objects.FetchOptions{NoDial: true, Meter: l.nodes})
	exchange := objects.NewServer(l.host, l.objects, l.nodes.Authorize, objects.ServerOptions{Meter: l.nodes})
	l.daemon.Opened(func() error { exchange.Close(); return nil })
}

// fetch pulls the objects of a reply from its node.
func (l *Link) fetch(ctx context.Context, from peer.ID, runID uint64, ids []string, shown func(id string)) error {
	return l.fetcher.FetchOwn(ctx, runID, ids, objects.Provider{Peer: from}, shown)
}

// serveControl serves the Control API to operators through the overlay.
func (l *Link) serveControl(ctx context.Context) error {
	return daemon.ServeHTTP(ctx, l.host.ListenMembers(remote.ControlProtocol), l.members.Only(l.control, join.RoleOperator))
}
