package swarm

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// liar returns zeros for everything.
type liar struct{ objects.Store }

func (l liar) Verify(string) error { return nil }

func (l liar) Open(id string) (objects.File, error) {
	size, err := l.Size(id)
	if err != nil {
		return nil, err
	}
	return lie{io.NewSectionReader(zeros{}, 0, size)}, nil
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

type lie struct{ *io.SectionReader }

func (lie) Close() error { return nil }

func (l lie) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, l.SectionReader) }

func (p *hubParty) honest(n int) (nodes []*nodeParty) {
	for range n {
		nodes = append(nodes, p.node(nil, objects.ServerOptions{}))
	}
	return nodes
}

func TestLiarsAreFoundAndAvoided(t *testing.T) {
	p := newHub(t, nil)
	nodes := p.honest(4)
	for range 2 {
		nodes = append(nodes, p.node(func(s objects.Store) objects.Store { return liar{s} }, objects.ServerOptions{}))
	}
	model, contents := p.model(8, 1<<20)
	p.all(model, contents, nodes...)
	lied := func() int64 { return nodes[4].meter.sent.Load() + nodes[5].meter.sent.Load() }
	t.Logf("%.2f copies; liars sent %d bytes", p.copies(contents), lied())
	if lied() == 0 {
		t.Fatal("nobody lied: nothing was tested")
	}
	p.hub.mu.Lock()
	liars := len(p.hub.courses[testRun].liars)
	p.hub.mu.Unlock()
	if liars == 0 {
		t.Error("the link has not heard of the liars")
	}
	// Later models: nobody is lied to by one of them more than once, and a node that has not
	// proven itself is asked for one object. Of four models liars whom nobody avoids would
	// send four times what they sent of the first.
	for range 3 {
		model, contents = p.model(8, 1<<20)
		p.all(model, contents, nodes...)
	}
	// Heads and ids come on top of the bytes.
	if most := int64(5*2)<<20 + 64<<10; lied() > most {
		t.Errorf("liars sent %d bytes in all, and could be found out after %d", lied(), most)
	}
}

func TestNodesThatLeaveTakeNothingWithThem(t *testing.T) {
	p := newHub(t, nil)
	nodes := p.honest(6)
	model, contents := p.model(6, 2<<20)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var work sync.WaitGroup
	for _, n := range nodes[:4] {
		work.Go(func() {
			if err := n.offer(ctx, model); err != nil {
				t.Error(err)
			}
		})
	}
	for _, n := range nodes[4:] {
		leaving, leave := context.WithCancel(ctx)
		defer leave()
		work.Go(func() { _ = n.offer(leaving, model) })
		work.Go(func() {
			// It goes when it has got something, as a process that is killed does.
			for n.meter.received.Load() == 0 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			p.hub.Leave(n.host.ID())
			leave()
			_ = n.host.Close()
		})
	}
	work.Wait()
	for _, n := range nodes[:4] {
		n.check(contents)
	}
	t.Logf("%.2f copies", p.copies(contents))
}

func TestWhoComesLateGetsItFromOthers(t *testing.T) {
	p := newHub(t, nil)
	nodes := p.honest(3)
	model, contents := p.model(4, 2<<20)
	p.all(model, contents, nodes...)
	before := p.meter.sent.Load()
	late := p.honest(2)
	p.all(model, contents, late...)
	if sent := p.meter.sent.Load() - before; sent > 4<<20 {
		t.Errorf("the link sent %d bytes to those who came late", sent)
	}
}

func TestASlowNodeHoldsNobodyUp(t *testing.T) {
	p := newHub(t, func(ctx context.Context, to peer.ID, n int) error { return nil })
	nodes := p.honest(4)
	crawl := func(ctx context.Context, _ peer.ID, _ int) error {
		select {
		case <-time.After(5 * time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	nodes = append(nodes, p.node(nil, objects.ServerOptions{Pace: crawl}))
	model, contents := p.model(6, 2<<20)
	p.all(model, contents, nodes...) // within patience; a chunk from the slow one takes 80 s
	t.Logf("%.2f copies", p.copies(contents))
}

func TestWithoutNeighboursTheLinkGivesAll(t *testing.T) {
	p := newHub(t, nil)
	nodes := p.honest(2)
	nodes[0].board.SetPeers(testRun, nil)
	for _, n := range nodes {
		n.asks.Close() // nobody answers askers
	}
	model, contents := p.model(5, 2<<20)
	p.all(model, contents, nodes...)
	if c := p.copies(contents); c < 1.99 {
		t.Errorf("the link sent %.2f copies to two nodes that could not help each other", c)
	}
}

func TestWhatIsForOneNodeIsGivenToNoOther(t *testing.T) {
	p := newHub(t, nil)
	nodes := p.honest(2)
	own, ownContents := p.model(1, 1<<20)
	shared, contents := p.model(1, 1<<20)
	must(t, nodes[0].offer(t.Context(), own))
	p.all(shared, contents, nodes...)
	must(t, nodes[1].host.Connect(t.Context(), peer.AddrInfo{ID: nodes[0].host.ID(), Addrs: nodes[0].host.Addrs()}))
	direct := objects.Provider{Peer: nodes[0].host.ID(), Direct: true}
	// steal asks the first node as its neighbour does, with an empty store each time.
	steal := func(runID uint64, id string) error {
		return objects.NewFetcher(nodes[1].host, newDir(t), objects.FetchOptions{}).Fetch(t.Context(), runID, []string{id}, direct)
	}
	for id := range contents {
		if err := steal(testRun, id); err != nil {
			t.Errorf("what is shared: %v", err)
		}
		if err := steal(testRun+1, id); !errors.Is(err, objects.ErrRefused) {
			t.Errorf("in the name of another run: %v", err)
		}
	}
	for id := range ownContents {
		if err := steal(testRun, id); !errors.Is(err, objects.ErrRefused) {
			t.Errorf("what is for one node: %v", err)
		}
	}
	p.hub.Leave(nodes[1].host.ID()) // revoked, or gone
	nodes[0].takeNews()
	for id := range contents {
		if err := steal(testRun, id); !errors.Is(err, objects.ErrRefused) {
			t.Errorf("a node that has left: %v", err)
		}
	}
}
