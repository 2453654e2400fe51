package lightnode

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/reach"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session"
)

// maxPeers is enough for a light node's link, with room for connections that are being replaced.
const maxPeers = 8

// Config configures a Node.
type Config struct {
	// Ticket is what the node joins with.
	Ticket ticket.Ticket
	// Name is the one that the node wishes for.
	Name string
	// Delay is the time that a ClientApp would take.
	Delay time.Duration
	// NoSession has the node only join and keep its connection, to find out what a session costs
	// beyond that. Opened is called when the node has joined.
	NoSession bool
	// Opened is called for each session, and Replied for each reply that the link has stored,
	// with the time since its Offer. Both are optional; they must not block.
	Opened  func()
	Replied func(took time.Duration)
}

// Node is one imitated SuperNode.
type Node struct {
	cfg     Config
	host    *p2p.Host
	target  reach.Target
	store   *memory
	fetcher *objects.Fetcher
	server  *objects.Server

	mu    sync.Mutex
	began map[string]time.Time // instructions without an acknowledged reply
	runs  map[uint64][]string  // objects by run
}

// New makes a node with a fresh identity. The caller must Close it.
func New(cfg Config) (*Node, error) {
	identity, err := identity.New()
	if err != nil {
		return nil, err
	}
	host, err := p2p.NewHost(p2p.Config{Identity: identity, Overlay: p2p.Overlay{NoListen: true}, MaxPeers: maxPeers})
	if err != nil {
		return nil, fmt.Errorf("host of light node %s: %w", cfg.Name, err)
	}
	n := &Node{
		cfg: cfg, host: host, target: reach.Target{Peer: cfg.Ticket.Link, Addrs: cfg.Ticket.Addrs},
		store: newMemory(), began: make(map[string]time.Time), runs: make(map[uint64][]string),
	}
	n.fetcher = objects.NewFetcher(host, n.store, objects.FetchOptions{Streams: 1})
	n.server = objects.NewServer(host, n.store, n.authorize, objects.ServerOptions{})
	return n, nil
}

// Run joins and holds the session until ctx ends, and then returns its cause, or until the link
// refuses the node.
func (n *Node) Run(ctx context.Context) error {
	request := join.Request{TokenID: n.cfg.Ticket.TokenID, Secret: n.cfg.Ticket.Secret, Name: n.cfg.Name}
	if _, err := join.Ask(ctx, n.host, n.target, request); err != nil {
		return fmt.Errorf("light node %s: %w", n.cfg.Name, err)
	}
	if n.cfg.NoSession {
		// A join closes the connection over which it was made.
		if err := n.host.Connect(ctx, peer.AddrInfo{ID: n.target.Peer, Addrs: n.target.Addrs}); err != nil {
			return fmt.Errorf("light node %s: %w", n.cfg.Name, err)
		}
		n.opened()
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return n.host.Keep(ctx, n.target, session.ProtocolID, n.serve)
}

// Close ends the host.
func (n *Node) Close() error {
	n.server.Close()
	return n.host.Close()
}

// authorize lets the link have every object.
func (n *Node) authorize(_ context.Context, p peer.ID, _ uint64, _ string) error {
	if p != n.target.Peer {
		return objects.ErrRefused
	}
	return nil
}

// serve holds one session. Everything that it has started has ended when it returns.
func (n *Node) serve(ctx context.Context, stream network.Stream) error {
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	s := &talk{node: n, conn: session.NewConn(stream, session.Limits{})}
	defer s.work.Wait()
	defer cancel()
	if err := s.greet(); err != nil {
		return err
	}
	n.opened()
	for {
		frame, err := s.conn.ReadFrame()
		if err != nil {
			return fmt.Errorf("read from the link: %w", err)
		}
		if err := s.handle(ctx, frame); err != nil {
			return err
		}
	}
}

func (n *Node) opened() {
	if n.cfg.Opened != nil {
		n.cfg.Opened()
	}
}

// begin records an instruction; it returns false if the instruction is already being worked on.
func (n *Node) begin(messageID string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, dup := n.began[messageID]; dup {
		return false
	}
	n.began[messageID] = time.Now()
	return true
}

// end records that nothing is owed for an instruction any more.
func (n *Node) end(messageID string, replied bool) {
	n.mu.Lock()
	began, known := n.began[messageID]
	delete(n.began, messageID)
	n.mu.Unlock()
	if known && replied && n.cfg.Replied != nil {
		n.cfg.Replied(time.Since(began))
	}
}

// belong records that objects belong to a run; they are dropped when it ends.
func (n *Node) belong(runID uint64, ids ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.runs[runID] = append(n.runs[runID], ids...)
}

// drop forgets a run.
func (n *Node) drop(runID uint64) {
	n.mu.Lock()
	ids := n.runs[runID]
	delete(n.runs, runID)
	n.mu.Unlock()
	for _, id := range ids {
		_ = n.store.Remove(id) // it cannot fail: the store is a map
	}
}

// keep stores one of the node's own objects.
func (n *Node) keep(runID uint64, content []byte) error {
	id := object.Sum(content)
	n.belong(runID, id)
	return n.store.put(id, content)
}
