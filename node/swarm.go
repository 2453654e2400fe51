package node

import (
	"context"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/time/rate"

	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/swarm"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// swarming is the node's part in exchanging objects with other nodes. It vouches for them
// only while the session that named them is open.
//
//	declined ◄── --decline-swarm, or the ticket said nothing of a swarm
//	off ──Welcome says so──► on ──the session ends──► off, and everybody is forgotten
type swarming struct {
	host     *p2p.Host
	link     peer.ID
	declined bool
	board    *swarm.Board
	searcher *swarm.Searcher
	uploads  *rate.Limiter // nil: no limit

	on           atomic.Bool
	given, taken atomic.Int64 // bytes to and from other nodes since the start
}

// openSwarm prepares the exchange of objects. It runs before there is a host, since the host's
// gate asks it whom to let in.
func (n *Node) openSwarm(ctx context.Context) error {
	identity, err := n.store.Identity(ctx)
	if err != nil {
		return err
	}
	s := &swarming{link: n.target.Peer, declined: n.cfg.DeclineSwarm || !identity.Swarm, board: swarm.NewBoard(n.objects.Has)}
	if n.cfg.SwarmUploadRate > 0 {
		s.uploads = rate.NewLimiter(rate.Limit(n.cfg.SwarmUploadRate), uploadBurst)
	}
	n.swarm = s
	return nil
}

// open answers other nodes until the returned function is called.
func (s *swarming) open(h *p2p.Host) (release func() error) {
	s.host = h
	s.searcher = swarm.NewSearcher(h, s.board, s.link)
	if s.declined {
		return func() error { return nil }
	}
	answers := swarm.NewServer(h, s.board, true)
	return func() error { answers.Close(); return nil }
}

// Opened implements session.Swarm.
func (s *swarming) Opened(on bool) {
	on = on && !s.declined
	if s.on.Swap(on) != on {
		log.Info("exchange of objects with other nodes", "on", on)
	}
}

// Closed implements session.Swarm.
func (s *swarming) Closed() {
	s.on.Store(false)
	s.cutOff(s.board.Clear())
}

// Peers implements session.Swarm.
func (s *swarming) Peers(runID uint64, named []*sessionpb.Provider) {
	if !s.on.Load() {
		return
	}
	peers := make([]objects.Provider, 0, len(named))
	for _, provider := range named {
		id, err := peer.IDFromBytes(provider.GetPeerId())
		if err != nil || id == s.link || id == s.host.ID() {
			log.Warn("the SuperLink named something that cannot be another node", "run", runID, "peer", id, "err", err)
			continue
		}
		p := objects.Provider{Peer: id}
		for _, raw := range provider.GetAddrs() {
			if addr, err := ma.NewMultiaddrBytes(raw); err == nil && len(p.Addrs) < maxPeerAddrs {
				p.Addrs = append(p.Addrs, addr)
			}
		}
		peers = append(peers, p)
	}
	s.cutOff(s.board.SetPeers(runID, peers))
}

// Shared implements session.Swarm.
func (s *swarming) Shared(runID uint64, packed []byte) {
	ids, err := swarm.Unpack(packed)
	if err != nil {
		log.Warn("the SuperLink shares objects with malformed ids", "run", runID, "err", err)
		return
	}
	s.share(runID, ids)
}

// share records objects that may be fetched from other nodes and given to them.
func (s *swarming) share(runID uint64, ids []string) {
	if s.on.Load() && len(ids) > 0 {
		s.board.Share(runID, ids)
	}
}

// end leaves the nodes of a run.
func (s *swarming) end(runID uint64) { s.cutOff(s.board.End(runID)) }

// cutOff closes the connections of nodes that nobody vouches for any more.
func (s *swarming) cutOff(gone []peer.ID) {
	for _, p := range gone {
		s.host.Disconnect(p)
	}
}

// isGuest tells whether a peer is served as another node rather than as the link.
func (s *swarming) isGuest(p peer.ID) bool { return p != s.link }

// pace slows down what goes to other nodes.
func (s *swarming) pace(ctx context.Context, to peer.ID, bytes int) error {
	if s.uploads == nil || !s.isGuest(to) {
		return nil
	}
	return s.uploads.WaitN(ctx, bytes)
}

// guests is how many streams of others are served at a time: fewer if the limit is low, since
// a receiver gives up a stream on which nothing moves for half a minute.
func (s *swarming) guests() int {
	if s.uploads == nil {
		return objects.DefaultGuests
	}
	return min(max(1, int(s.uploads.Limit())/minUploadRate), objects.DefaultGuests)
}

// SwarmStatus says how the node exchanges objects with others.
type SwarmStatus struct {
	// State is off, declined or on.
	State string `json:"state"`
	// Peers is the number of nodes that may fetch from this one now.
	Peers int `json:"peers"`
	// Given and Taken count the bytes to and from other nodes since the start.
	Given int64 `json:"bytes_given"`
	Taken int64 `json:"bytes_taken"`
}

func (s *swarming) status() SwarmStatus {
	status := SwarmStatus{State: "off", Peers: s.board.Count(), Given: s.given.Load(), Taken: s.taken.Load()}
	switch {
	case s.declined:
		status.State = "declined"
	case s.on.Load():
		status.State = "on"
	}
	return status
}
