package swarm

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

const testRun = 7

// patience bounds every wait of these tests; it is only reached when something is broken.
const patience = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
	must(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func newDir(t testing.TB) *objects.Dir {
	t.Helper()
	d, err := objects.OpenDir(t.TempDir(), objects.DirOptions{})
	must(t, err)
	return d
}

type meter struct{ sent, received atomic.Int64 }

func (m *meter) Sent(_ peer.ID, _ uint64, n int)     { m.sent.Add(int64(n)) }
func (m *meter) Received(_ peer.ID, _ uint64, n int) { m.received.Add(int64(n)) }

// hubParty is a link without sessions: what these would carry is handed over by calls.
type hubParty struct {
	t     testing.TB
	host  host.Host
	store *objects.Dir
	hub   *Hub
	meter meter

	mu    sync.Mutex
	nodes map[peer.ID]*nodeParty
}

func newHub(t testing.TB, pace func(context.Context, peer.ID, int) error) *hubParty {
	p := &hubParty{t: t, host: newHost(t), store: newDir(t), nodes: make(map[peer.ID]*nodeParty)}
	p.hub = NewHub(HubConfig{
		Size: p.store.Size,
		Seen: func(id peer.ID) Seen {
			p.mu.Lock()
			defer p.mu.Unlock()
			return Seen{From: p.nodes[id].host.Addrs(), Listens: p.nodes[id].host.Addrs()}
		},
		News: func(id peer.ID) {
			p.mu.Lock()
			defer p.mu.Unlock()
			select {
			case p.nodes[id].news <- struct{}{}:
			default:
			}
		},
	})
	t.Cleanup(p.hub.Close)
	asks := NewServer(p.host, p.hub, false)
	t.Cleanup(asks.Close)
	data := objects.NewServer(p.host, p.store, func(context.Context, peer.ID, uint64, string) error { return nil },
		objects.ServerOptions{Meter: &p.meter, Pace: pace})
	t.Cleanup(data.Close)
	return p
}

// nodeParty is a node without sessions.
type nodeParty struct {
	hub     *hubParty
	host    host.Host
	store   *objects.Dir
	board   *Board
	fetcher *objects.Fetcher
	search  *Searcher
	meter   meter
	news    chan struct{}
	server  *objects.Server
	asks    *Server
}

// served is what a node gives from: its store, or that of a liar.
func (p *hubParty) node(served func(objects.Store) objects.Store, opts objects.ServerOptions) *nodeParty {
	t := p.t
	n := &nodeParty{hub: p, host: newHost(t), store: newDir(t), news: make(chan struct{}, 1)}
	n.board = NewBoard(n.store.Has)
	n.search = NewSearcher(n.host, n.board, p.host.ID())
	n.fetcher = objects.NewFetcher(n.host, n.store, objects.FetchOptions{Arrived: n.board.Arrived, Meter: &n.meter})
	n.asks = NewServer(n.host, n.board, true)
	t.Cleanup(n.asks.Close)
	opts.Meter = &n.meter
	opts.Guest = func(peer.ID) bool { return true }
	var store objects.Store = n.store
	if served != nil {
		store = served(store)
	}
	n.server = objects.NewServer(n.host, store, func(_ context.Context, from peer.ID, run uint64, id string) error {
		if !n.board.May(from, run, id) {
			return objects.ErrRefused
		}
		return nil
	}, opts)
	t.Cleanup(n.server.Close)
	must(t, n.host.Connect(t.Context(), peer.AddrInfo{ID: p.host.ID(), Addrs: p.host.Addrs()}))
	p.mu.Lock()
	p.nodes[n.host.ID()] = n
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-n.news:
				n.takeNews()
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	return n
}

func (n *nodeParty) takeNews() {
	for _, news := range n.hub.hub.Take(n.host.ID()) {
		if news.Peers != nil {
			n.board.SetPeers(news.RunID, news.Peers) // a node cuts off who is gone
		}
		n.board.Share(news.RunID, news.Shared)
	}
}

// model puts chunks into the hub's store, and gives the tree that messages share.
func (p *hubParty) model(chunks, size int) (*flwrpb.ObjectTree, map[string][]byte) {
	contents := make(map[string][]byte)
	root := &flwrpb.ObjectTree{ObjectId: p.put([]byte(fmt.Sprint("root", rand.Int())), contents)}
	for range chunks {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		root.Children = append(root.Children, &flwrpb.ObjectTree{ObjectId: p.put(b, contents)})
	}
	return root, contents
}

func (p *hubParty) put(content []byte, contents map[string][]byte) string {
	id := object.Sum(content)
	must(p.t, p.store.Put(p.t.Context(), id, int64(len(content)), bytes.NewReader(content)))
	contents[id] = content
	return id
}

// offer does what a session does with an offer, and fetches what it needs.
func (n *nodeParty) offer(ctx context.Context, model *flwrpb.ObjectTree) error {
	own := map[string][]byte{}
	message := &flwrpb.ObjectTree{ObjectId: n.hub.put([]byte("message to "+n.host.ID()), own), Children: []*flwrpb.ObjectTree{model}}
	roots := n.hub.hub.Offer(testRun, n.host.ID(), message)
	n.takeNews()
	ids, err := object.PostOrder(message, object.TreeLimits{})
	if err != nil {
		return err
	}
	for _, root := range roots {
		if root != model.ObjectId {
			return fmt.Errorf("%s is said to be shared", root)
		}
		shared, err := object.PostOrder(model, object.TreeLimits{})
		if err != nil {
			return err
		}
		n.board.Share(testRun, shared)
	}
	return n.fetcher.FetchSwarm(ctx, testRun, ids, objects.Provider{Peer: n.hub.host.ID()}, n.search)
}

// all offers a model to nodes at once, and checks that they get it.
func (p *hubParty) all(model *flwrpb.ObjectTree, contents map[string][]byte, nodes ...*nodeParty) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	var work sync.WaitGroup
	for i, n := range nodes {
		work.Go(func() {
			if err := n.offer(ctx, model); err != nil {
				p.t.Errorf("node %d: %v", i, err)
				return
			}
			n.check(contents)
		})
	}
	work.Wait()
}

func (n *nodeParty) check(contents map[string][]byte) {
	for id := range contents {
		if err := n.store.Verify(id); err != nil {
			n.hub.t.Errorf("node %s: %v", n.host.ID(), err)
		}
	}
}

func (p *hubParty) copies(model map[string][]byte) float64 {
	var size int
	for _, content := range model {
		size += len(content)
	}
	return float64(p.meter.sent.Load()) / float64(size)
}

func TestALinkGivesAboutOneCopy(t *testing.T) {
	p := newHub(t, nil)
	var nodes []*nodeParty
	for range 8 {
		nodes = append(nodes, p.node(nil, objects.ServerOptions{}))
	}
	model, contents := p.model(5, 5<<20)
	start := time.Now()
	p.all(model, contents, nodes...)
	t.Logf("%.2f copies in %v", p.copies(contents), time.Since(start))
	if c := p.copies(contents); c > 1.5 {
		t.Errorf("the link sent %.2f copies", c)
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Run("federation", func(t *testing.T) {
		p := newHub(t, nil)
		model, contents := p.model(2, 1<<20)
		p.all(model, contents, p.honest(3)...)
	})
	goleak.VerifyNone(t, leaks)
}
