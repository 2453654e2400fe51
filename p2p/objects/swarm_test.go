package objects

import (
	"bufio"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p/objects/exchangepb"
)

// script is a Swarm that tells what a test says, and keeps what it is told.
type script struct {
	tell func(ids []string, found Found)

	mu     sync.Mutex
	got    map[string]bool
	liars  []peer.ID
	found  Found
	closed bool
}

func (s *script) Search(_ uint64, ids []string, found Found) Search {
	s.mu.Lock()
	s.got, s.found = make(map[string]bool), found
	s.mu.Unlock()
	s.tell(ids, found)
	return s
}

func (s *script) Got(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got[id] = true
}

func (s *script) Liar(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.liars = append(s.liars, p)
}

func (s *script) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// places is an overlay of several pipes.
type places map[peer.ID]*pipes

func (p places) open(ctx context.Context, to Provider) (network.Stream, error) {
	return p[to.Peer].open(ctx, to)
}
func (p places) outdated(network.Stream) bool { return false }
func (p places) connects(peer.ID) (<-chan struct{}, func()) {
	return make(chan struct{}), func() {}
}

func (p places) wait() {
	for _, one := range p {
		one.ends.Wait()
	}
}

func fetcherIn(p places, store Store, opts FetchOptions) *Fetcher {
	return &Fetcher{net: p, self: "me", store: store, opts: opts.withDefaults(), blamed: newBlameList()}
}

func (s *script) checkEnd(t *testing.T, contents map[string][]byte) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed || len(s.got) != len(contents) {
		t.Errorf("the search was told of %d objects of %d, and is closed: %v", len(s.got), len(contents), s.closed)
	}
}

func TestASwarmGivesWhatItSaysItHas(t *testing.T) {
	dir, to := newDir(t), newDir(t)
	contents, ids := fillStore(t, dir, 300_000, 200_000, 100, 0)
	hub, one, two := serve(t, dir, anybody, ServerOptions{}), serve(t, dir, anybody, ServerOptions{}), serve(t, dir, anybody, ServerOptions{})
	h := newHost(t)
	for _, p := range []*serving{one, two} {
		if err := h.Connect(t.Context(), peer.AddrInfo{ID: p.host.ID(), Addrs: p.host.Addrs()}); err != nil {
			t.Fatal(err)
		}
	}
	direct := func(s *serving) Provider { return Provider{Peer: s.host.ID(), Direct: true} }
	s := &script{tell: func(_ []string, found Found) {
		found.Has(direct(one), []string{ids[0], ids[2], "unknown"})
		found.Has(direct(two), ids[1:2])
		found.Has(hub.provider(), ids[3:])
	}}
	if err := NewFetcher(h, to, FetchOptions{}).FetchSwarm(t.Context(), testRun, ids, hub.provider(), s); err != nil {
		t.Fatal(err)
	}
	wantAll(t, to, contents)
	s.checkEnd(t, contents)
	if one.meter.sent.Load() != 300_100 || two.meter.sent.Load() != 200_000 || hub.meter.sent.Load() != 0 {
		t.Errorf("sent: %d, %d, hub %d", one.meter.sent.Load(), two.meter.sent.Load(), hub.meter.sent.Load())
	}
}

func TestADirectProviderIsNotDialled(t *testing.T) {
	dir := newDir(t)
	_, ids := fillStore(t, dir, 100)
	hub, far := serve(t, dir, anybody, ServerOptions{}), serve(t, dir, anybody, ServerOptions{})
	h := newHost(t)
	s := &script{tell: func(_ []string, found Found) {
		p := far.provider()
		p.Direct = true
		found.Has(p, ids)
		time.AfterFunc(50*time.Millisecond, func() { found.Has(hub.provider(), ids) })
	}}
	if err := NewFetcher(h, newDir(t), FetchOptions{}).FetchSwarm(t.Context(), testRun, ids, hub.provider(), s); err != nil {
		t.Fatal(err)
	}
	if len(h.Network().ConnsToPeer(far.host.ID())) > 0 {
		t.Error("it was dialled")
	}
}

func TestOnlyTheHubsRefusalEndsAFetch(t *testing.T) {
	dir, empty := newDir(t), newDir(t)
	contents, ids := fillStore(t, dir, 100)
	for _, hubHas := range []bool{true, false} {
		to := newDir(t)
		synctest.Test(t, func(t *testing.T) {
			net := places{"hub": {}, "peer": {}}
			net["peer"].from(serverFor(empty, ServerOptions{}))
			if net["hub"].from(serverFor(empty, ServerOptions{})); hubHas {
				net["hub"].from(serverFor(dir, ServerOptions{}))
			}
			s := &script{tell: func(ids []string, found Found) {
				found.Has(Provider{Peer: "peer"}, ids)
				time.AfterFunc(time.Minute, func() { found.Has(Provider{Peer: "hub"}, ids) })
			}}
			start := time.Now()
			err := fetcherIn(net, to, FetchOptions{}).FetchSwarm(t.Context(), testRun, ids, Provider{Peer: "hub"}, s)
			if hubHas && err != nil || !hubHas && !errors.Is(err, ErrNotFound) || time.Since(start) != time.Minute {
				t.Errorf("the hub has it: %v; after %v: %v", hubHas, time.Since(start), err)
			}
			if hubHas {
				s.checkEnd(t, contents)
			}
			if n := net["peer"].opened.Load(); n != 1 {
				t.Errorf("the peer that has nothing was asked %d times", n)
			}
			net.wait()
		})
	}
}

func TestALiarInASwarmIsToldOfAndNotAskedAgain(t *testing.T) {
	dir, to := newDir(t), newDir(t)
	contents, ids := fillStore(t, dir, 100_000, 50_000)
	synctest.Test(t, func(t *testing.T) {
		net := places{"hub": {}, "liar": {}}
		net["hub"].from(serverFor(dir, ServerOptions{}))
		net["liar"].from(serverFor(liar{Store: dir}, ServerOptions{}))
		s := &script{tell: func(ids []string, found Found) {
			found.Has(Provider{Peer: "liar"}, ids)
			time.AfterFunc(time.Second, func() { found.Has(Provider{Peer: "liar"}, ids); found.Has(Provider{Peer: "hub"}, ids) })
		}}
		f := fetcherIn(net, to, FetchOptions{})
		if err := f.FetchSwarm(t.Context(), testRun, ids, Provider{Peer: "hub"}, s); err != nil {
			t.Fatal(err)
		}
		s.checkEnd(t, contents)
		if len(s.liars) != 1 || s.liars[0] != "liar" || !f.blamed.has("liar") || f.blamed.has("hub") {
			t.Errorf("liars: %v", s.liars)
		}
		if n := net["liar"].opened.Load(); n > swarmStreams {
			t.Errorf("the liar was asked %d times", n)
		}
		net.wait()
	})
	wantAll(t, to, contents)
}

func TestASlowPeerIsLeftForAnother(t *testing.T) {
	dir, to := newDir(t), newDir(t)
	contents, ids := fillStore(t, dir, 5<<20)
	synctest.Test(t, func(t *testing.T) {
		crawl := func(context.Context, peer.ID, int) error { time.Sleep(10 * time.Second); return nil }
		net := places{"hub": {}, "slow": {}, "other": {}}
		net["hub"].from(serverFor(dir, ServerOptions{}))
		net["slow"].from(serverFor(dir, ServerOptions{Pace: crawl}))
		net["other"].from(serverFor(dir, ServerOptions{}))
		s := &script{tell: func(ids []string, found Found) {
			found.Has(Provider{Peer: "slow"}, ids)
			time.AfterFunc(time.Second, func() { found.Has(Provider{Peer: "other"}, ids) })
		}}
		start := time.Now()
		if err := fetcherIn(net, to, FetchOptions{}).FetchSwarm(t.Context(), testRun, ids, Provider{Peer: "hub"}, s); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > slowStart+slowLook {
			t.Errorf("it took %v", took)
		}
		net.wait()
	})
	wantAll(t, to, contents)
}

func TestAPeerThatIsLostIsWaitedForNoLonger(t *testing.T) {
	dir, to := newDir(t), newDir(t)
	contents, ids := fillStore(t, dir, 1000)
	synctest.Test(t, func(t *testing.T) {
		net := places{"hub": {}, "gone": {refuse: errors.New("unplugged")}}
		net["hub"].from(serverFor(dir, ServerOptions{}))
		s := &script{tell: func(ids []string, found Found) {
			found.Has(Provider{Peer: "gone", Direct: true}, ids)
			time.AfterFunc(3*time.Second, func() { found.Lost("gone") })
			time.AfterFunc(time.Hour, func() { found.Has(Provider{Peer: "hub"}, ids) })
			for wait := time.Minute; wait < time.Hour; wait += time.Minute { // the hub is busy
				time.AfterFunc(wait, found.Alive)
			}
		}}
		if err := fetcherIn(net, to, FetchOptions{}).FetchSwarm(t.Context(), testRun, ids, Provider{Peer: "hub"}, s); err != nil {
			t.Fatal(err)
		}
		if n := net["gone"].opened.Load(); n < 4 || n > 50 {
			t.Errorf("%d streams were tried", n)
		}
		net.wait()
	})
	wantAll(t, to, contents)
}

func TestASwarmThatFindsNothingStalls(t *testing.T) {
	_, id := blob(1, 100)
	to := newDir(t)
	synctest.Test(t, func(t *testing.T) {
		s := &script{tell: func([]string, Found) {}}
		err := fetcherIn(places{}, to, FetchOptions{}).FetchSwarm(t.Context(), testRun, []string{id}, Provider{Peer: "hub"}, s)
		if !errors.Is(err, ErrStalled) || !s.closed {
			t.Errorf("%v", err)
		}
	})
}

func TestGuestsAreGivenWhatIsSpare(t *testing.T) {
	dir := newDir(t)
	_, ids := fillStore(t, dir, 100)
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		s := serverFor(dir, ServerOptions{
			Guests: 2, Guest: func(p peer.ID) bool { return p != "link" },
			Pace: func(context.Context, peer.ID, int) error { <-free; return nil },
		})
		asks := func(p peer.ID, served bool) {
			t.Helper()
			a, err := readAnswer(bufio.NewReader(s.asks(t, p, ids[0])), want{id: ids[0]}, func() {})
			if (a.status == exchangepb.Answer_OK) != served || err != nil {
				t.Errorf("a stream of %s: %v %q (%v)", string(p), a.status, a.detail, err)
			}
			if !served && (a.status != exchangepb.Answer_BUSY || !strings.Contains(a.detail, "others are being served")) {
				t.Errorf("the reason is %v: %s", a.status, a.detail)
			}
		}
		asks("a", true)
		asks("b", true)
		asks("c", false)
		asks("link", true)
		close(free)
		s.Close()
	})
}
