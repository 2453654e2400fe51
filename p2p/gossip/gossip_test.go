package gossip

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"
)

// deadline ends a test that waits for something that never comes.
const deadline = 20 * time.Second

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(),
		libp2p.DisableRelay(),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func connect(t *testing.T, a, b host.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := a.Connect(ctx, peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

// lab is a link and the members that it knows.
type lab struct {
	t       *testing.T
	ctx     context.Context
	link    host.Host
	pub     *Publisher
	members []peer.ID
}

func (l *lab) config() Config {
	return Config{Link: l.link.ID(), Federation: "test", Member: func(p peer.ID) bool {
		return p == l.link.ID() || slices.Contains(l.members, p)
	}}
}

// newLab makes a link and n hosts, all of them members.
func newLab(t *testing.T, n int) (*lab, []host.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	l := &lab{t: t, ctx: ctx, link: newHost(t)}
	hosts := make([]host.Host, n)
	for i := range hosts {
		hosts[i] = newHost(t)
		l.members = append(l.members, hosts[i].ID())
	}
	var err error
	if l.pub, err = NewPublisher(l.link, l.config()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.pub.Close)
	return l, hosts
}

func (l *lab) subscribe(h host.Host, extra ...pubsub.Option) *Subscriber {
	l.t.Helper()
	s, err := newSubscriber(h, l.config(), extra...)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(s.Close)
	return s
}

// hears waits until the link knows that these hosts subscribe.
func (l *lab) hears(hosts ...host.Host) {
	l.t.Helper()
	eventually(l.t, "all subscriptions known to the link", func() bool {
		known := l.pub.topic.ListPeers()
		return !slices.ContainsFunc(hosts, func(h host.Host) bool { return !slices.Contains(known, h.ID()) })
	})
}

func (l *lab) publish(run uint64) []byte {
	l.t.Helper()
	raw, err := l.pub.Publish(l.ctx, Announcement{Kind: Started, RunID: run})
	if err != nil {
		l.t.Fatal(err)
	}
	return raw
}

func (l *lab) expect(s *Subscriber, run uint64) Announcement {
	l.t.Helper()
	a, err := s.Next(l.ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	if a.RunID != run {
		l.t.Errorf("heard of run %d, want %d", a.RunID, run)
	}
	return a
}

func TestStarReachesAll(t *testing.T) {
	const n = 24 // three times what a mesh has
	l, hosts := newLab(t, n)
	var subs []*Subscriber
	for _, h := range hosts {
		subs = append(subs, l.subscribe(h))
		connect(t, h, l.link)
	}
	l.hears(hosts...)
	want := Announcement{Kind: Wanted, RunID: 7, SeriesID: 8, FabHash: hash('a'), Objects: []string{hash('b'), hash('0')}}
	if _, err := l.pub.Publish(l.ctx, want); err != nil {
		t.Fatal(err)
	}
	for _, s := range subs {
		got := l.expect(s, 7)
		if got.Kind != Wanted || got.SeriesID != 8 || got.FabHash != want.FabHash || !slices.Equal(got.Objects, want.Objects) ||
			got.Link != l.link.ID() || got.Federation != "test" {
			t.Errorf("heard %+v", got)
		}
	}
}

func TestSessionAndGossipTogetherTellOnce(t *testing.T) {
	l, hosts := newLab(t, 1)
	s := l.subscribe(hosts[0])
	connect(t, hosts[0], l.link)
	l.hears(hosts[0])
	raw := l.publish(1)
	l.expect(s, 1)
	if _, err := s.Verify(raw); !errors.Is(err, ErrSeen) {
		t.Errorf("Verify of what gossip brought = %v, want ErrSeen", err)
	}
	early, err := (&Announcement{Kind: Started, RunID: 2, Link: l.link.ID(), Federation: "test"}).sign(l.pub.key)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := s.Verify(early); err != nil || a.RunID != 2 {
		t.Errorf("Verify = %v, %v", a, err)
	}
	if err := l.pub.topic.Publish(l.ctx, early); err != nil { // the session was faster
		t.Fatal(err)
	}
	l.publish(3)
	l.expect(s, 3)
}

func TestStrangersTakeNoPart(t *testing.T) {
	l, hosts := newLab(t, 2)
	stranger := hosts[1]
	l.members = l.members[:1]
	member := l.subscribe(hosts[0])
	open := l.config()
	open.Member = func(peer.ID) bool { return true } // the stranger has no such scruples
	outside, err := NewSubscriber(stranger, open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(outside.Close)
	connect(t, hosts[0], l.link)
	connect(t, stranger, l.link)
	connect(t, stranger, hosts[0])
	l.hears(hosts...) // gossipsub notes what strangers want, but does not do it
	raw := l.publish(1)
	l.expect(member, 1)

	// Not even the link's own words are taken from a stranger: run 2 reaches the member
	// only from the link.
	second, err := (&Announcement{Kind: Started, RunID: 2, Link: l.link.ID(), Federation: "test"}).sign(l.pub.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := outside.topic.Publish(l.ctx, second); err != nil {
		t.Fatal(err)
	}
	l.publish(3)
	l.expect(member, 3)
	if _, err := outside.Verify(raw); errors.Is(err, ErrSeen) {
		t.Error("a stranger was sent an announcement")
	}
}

func TestForgerIsIgnored(t *testing.T) {
	l, hosts := newLab(t, 2)
	forger, victim := hosts[0], hosts[1]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rogue, err := start(ctx, forger, l.config(), func(context.Context, peer.ID, *pubsub.Message) pubsub.ValidationResult {
		return pubsub.ValidationAccept
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rogue.Subscribe(); err != nil {
		t.Fatal(err)
	}
	var score atomic.Value
	score.Store(0.0)
	s := l.subscribe(victim, pubsub.WithPeerScoreInspect(func(scores map[peer.ID]float64) {
		score.Store(scores[forger.ID()])
	}, 10*time.Millisecond))
	connect(t, victim, forger)
	eventually(t, "the forger knows its victim", func() bool { return slices.Contains(rogue.ListPeers(), victim.ID()) })

	say := func(raw []byte) {
		t.Helper()
		if err := rogue.Publish(l.ctx, raw); err != nil {
			t.Fatal(err)
		}
	}
	good := func(run uint64) []byte {
		raw, err := (&Announcement{Kind: Started, RunID: run, Link: l.link.ID(), Federation: "test"}).sign(l.pub.key)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	say(good(1))
	l.expect(s, 1) // an honest member is heard

	forgerKey := forger.Peerstore().PrivKey(forger.ID())
	for range 3 {
		forged, err := (&Announcement{Kind: Stopped, RunID: 1, Link: l.link.ID(), Federation: "test"}).sign(forgerKey)
		if err != nil {
			t.Fatal(err)
		}
		say(forged)
	}
	eventually(t, "the forger is scored", func() bool { return score.Load().(float64) < graylist })
	say(good(2)) // true, but nobody listens to the forger any longer
	connect(t, victim, l.link)
	l.hears(victim)
	l.publish(3)
	l.expect(s, 3)
}

func TestPublisherMustBeTheLink(t *testing.T) {
	h := newHost(t)
	c := Config{Link: newHost(t).ID(), Federation: "f", Member: func(peer.ID) bool { return true }}
	if _, err := NewPublisher(h, c); err == nil {
		t.Error("a node may publish")
	}
	for name, c := range map[string]Config{
		"no key in the id": {Link: "x", Member: c.Member},
		"no members":       {Link: h.ID()},
	} {
		if _, err := NewSubscriber(h, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCloseEndsNextAndLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // runs last: after the hosts' cleanups
	l, hosts := newLab(t, 1)
	s := l.subscribe(hosts[0])
	connect(t, hosts[0], l.link)
	ended := make(chan error)
	go func() {
		_, err := s.Next(context.Background())
		ended <- err
	}()
	s.Close()
	if err := <-ended; err == nil {
		t.Error("Next of a closed subscriber returned no error")
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
