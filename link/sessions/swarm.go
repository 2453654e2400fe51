package sessions

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/swarm"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// serveSwarm answers nodes that look for objects, until stop is called.
func (s *Server) serveSwarm() (stop func()) {
	if s.swarm == nil {
		return func() {}
	}
	answers := swarm.NewServer(s.cfg.Host, s.swarm, false)
	return func() {
		answers.Close()
		s.swarm.Close()
	}
}

// seen tells where a node is, judging by its connections and by its own word.
func (s *Server) seen(p peer.ID) (seen swarm.Seen) {
	for _, conn := range s.cfg.Host.Network().ConnsToPeer(p) {
		if !conn.IsClosed() && !addr.Relayed(conn) {
			seen.From = append(seen.From, conn.RemoteMultiaddr())
		}
	}
	if ps := s.session(p); ps != nil {
		seen.Listens = ps.addrs
	}
	return seen
}

// meetOthers records whether the node exchanges objects with others, and where they can find it.
func (ps *peerSession) meetOthers(hello *sessionpb.Hello) {
	ps.swarm = ps.server.swarm != nil && !hello.GetDeclineSwarm()
	if !ps.swarm {
		return
	}
	for _, raw := range hello.GetAddrs()[:min(len(hello.GetAddrs()), maxAddrs)] {
		if a, err := ma.NewMultiaddrBytes(raw); err == nil && !addr.IsCircuit(a) {
			ps.addrs = append(ps.addrs, a)
		}
	}
}

// swarmNews wakes the pusher of a node.
func (s *Server) swarmNews(p peer.ID) {
	if ps := s.session(p); ps != nil {
		ps.outbox.change(func() {})
	}
}

// enterSwarm adds the node to those that exchange objects of the message's run, tells it so, and
// returns the objects of the message that also go to others.
func (ps *peerSession) enterSwarm(m state.Message) (shared []byte, err error) {
	if !ps.swarm {
		return nil, nil
	}
	var tree flwrpb.ObjectTree
	if err := proto.Unmarshal(m.Tree, &tree); err != nil {
		return nil, fmt.Errorf("object tree of message %s: %w", m.ID, err)
	}
	roots := ps.server.swarm.Offer(m.RunID, ps.peer, &tree)
	return swarm.Pack(roots), ps.sendNews()
}

// sendNews tells the node with whom it may exchange objects, and which.
func (ps *peerSession) sendNews() error {
	if !ps.swarm {
		return nil
	}
	for _, news := range ps.server.swarm.Take(ps.peer) {
		if news.Peers != nil {
			peers := &sessionpb.Peers{RunId: news.RunID}
			for _, p := range news.Peers {
				provider := &sessionpb.Provider{PeerId: []byte(p.Peer)}
				for _, addr := range p.Addrs {
					provider.Addrs = append(provider.Addrs, addr.Bytes())
				}
				peers.Peers = append(peers.Peers, provider)
			}
			if err := ps.send(&sessionpb.Frame{Body: &sessionpb.Frame_Peers{Peers: peers}}); err != nil {
				return err
			}
		}
		for ids := news.Shared; len(ids) > 0; {
			some := ids[:min(len(ids), sharedFrame)]
			ids = ids[len(some):]
			shared := &sessionpb.Shared{RunId: news.RunID, Ids: swarm.Pack(some)}
			if err := ps.send(&sessionpb.Frame{Body: &sessionpb.Frame_Shared{Shared: shared}}); err != nil {
				return err
			}
		}
	}
	return nil
}
