package sessions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/traffic"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/streams"
	"github.com/rhizome-fl/rhizome/p2p/swarm"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

var log = logs.For("link/sessions")

// Config is what a Server works with. All fields are required unless stated otherwise.
type Config struct {
	Host    host.Host
	Store   state.Store
	Objects objects.Store
	// Office is what all messages go through.
	Office *messages.Office
	// Fetch has a peer show objects of a run, and puts those into Objects that are not there yet:
	// see objects.Fetcher.FetchOwn.
	Fetch func(ctx context.Context, from peer.ID, runID uint64, ids []string, shown func(id string)) error
	// Federation is the name that the Welcome carries.
	Federation string
	// Heartbeat and Grace are those of the sessions; zero means the default.
	Heartbeat, Grace time.Duration
	// Relays returns those through which the link is reachable now. It may be nil.
	Relays func() []string
	// Swarm lets nodes exchange objects, which shows their addresses to each other.
	Swarm bool
}

// Server serves the session protocol. Make it with New, then call Run. It is the authority and
// the meter of the link's object exchange.
type Server struct {
	cfg     Config
	traffic *traffic.Meter
	pulse   *pulse
	swarm   *swarm.Hub // nil: nodes get everything from the link

	mu       sync.Mutex
	sessions map[peer.ID]*peerSession
}

// These are the reasons for which a session ends, as the cause of its context.
var (
	errReplaced = errors.New("replaced by a newer session of the same node")
	errRevoked  = errors.New("the membership was revoked")
	errBye      = errors.New("the node said good-bye")
	errSilent   = errors.New("the node went silent")
	errBehind   = errors.New("the node does not take what it is sent")
)

// New makes a server; nothing happens before Run.
func New(cfg Config) *Server {
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = DefaultHeartbeat
	}
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Relays == nil {
		cfg.Relays = func() []string { return nil }
	}
	s := &Server{cfg: cfg, sessions: make(map[peer.ID]*peerSession), traffic: traffic.New(cfg.Store), pulse: newPulse(cfg.Heartbeat)}
	if cfg.Swarm {
		s.swarm = swarm.NewHub(swarm.HubConfig{Size: cfg.Objects.Size, Seen: s.seen, News: s.swarmNews})
	}
	return s
}

// Run serves until ctx ends and all sessions have ended. Nodes keep their grace period across a
// restart of the link.
func (s *Server) Run(ctx context.Context) error {
	if err := s.startGrace(ctx); err != nil {
		return err
	}
	defer s.serveSwarm()()
	beats, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var beating sync.WaitGroup
	beating.Go(func() { s.pulse.run(beats) })
	serving := streams.Serve(s.cfg.Host, session.ProtocolID, streams.Options{
		Places: maxStreams, PerPeer: streamsPerPeer, First: helloLimit, Busy: sayBusy,
	}, s.serve)
	<-ctx.Done()
	serving.Close()
	stop()
	beating.Wait()
	return nil
}

// sayBusy asks a node to come again.
func sayBusy(to io.Writer, _ error) error {
	return delimited.Write(to, refusedFrame(sessionpb.Refused_BUSY, "this node has several streams to the SuperLink that have not ended yet"))
}

// startGrace begins the grace period of the nodes that had a session when the link stopped: they
// are on their way back.
func (s *Server) startGrace(ctx context.Context) error {
	known, err := s.cfg.Store.OnlineNodes(ctx)
	if err != nil {
		return fmt.Errorf("list the nodes that were online: %w", err)
	}
	until := time.Now().Add(s.cfg.Grace)
	for _, n := range known {
		if n.PeerID == "" {
			continue // a stock SuperNode has heartbeats of its own
		}
		if _, err := s.cfg.Store.TouchNode(ctx, n.ID, s.cfg.Heartbeat, until); err != nil {
			return fmt.Errorf("start the grace period of node %d: %w", n.ID, err)
		}
	}
	return nil
}

// enter makes a session the current one of its peer, once the one before it has ended.
func (s *Server) enter(ps *peerSession) error {
	for {
		s.mu.Lock()
		old := s.sessions[ps.peer]
		if old == nil {
			s.sessions[ps.peer] = ps
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		old.cancel(errReplaced)
		select {
		case <-old.done:
			old.closePathLeftFor(ps)
		case <-ps.ctx.Done():
			return context.Cause(ps.ctx)
		}
	}
}

func (s *Server) leave(ps *peerSession) {
	s.mu.Lock()
	if s.sessions[ps.peer] == ps {
		delete(s.sessions, ps.peer)
	}
	s.mu.Unlock()
	if s.swarm != nil {
		s.swarm.Leave(ps.peer)
	}
	close(ps.done)
}

func (s *Server) all() []*peerSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*peerSession, 0, len(s.sessions))
	for _, ps := range s.sessions {
		list = append(list, ps)
	}
	return list
}

// session returns the session of a peer, or nil.
func (s *Server) session(p peer.ID) *peerSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[p]
}

// Connected tells since when the peer has had a session; ok is false if it has none.
func (s *Server) Connected(p peer.ID) (since time.Time, ok bool) {
	ps := s.session(p)
	if ps == nil {
		return time.Time{}, false
	}
	return ps.since, true
}

// Count is the number of open sessions.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Revoke ends the session of a peer that is no longer a member.
func (s *Server) Revoke(p peer.ID) {
	if ps := s.session(p); ps != nil {
		ps.cancel(errRevoked)
	}
}

// CancelRun ends everything that belongs to a finished run: nodes are told, and replies that are
// being fetched are given up. It returns when no fetch of the run is under way.
func (s *Server) CancelRun(ctx context.Context, runID uint64, detail string) error {
	for _, ps := range s.all() {
		ps.queueCancel(runID, detail)
	}
	if err := s.cfg.Office.StopFetches(ctx, runID); err != nil {
		return err
	}
	if s.swarm != nil {
		s.swarm.End(runID)
	}
	s.traffic.Keep(ctx, runID)
	return nil
}

// Hint repeats a signed run announcement to the nodes that gossip does not reach: those on
// limited connections.
func (s *Server) Hint(announcement []byte) {
	for _, ps := range s.all() {
		if ps.stream.Conn().Stat().Limited {
			ps.queueHint(announcement)
		}
	}
}
