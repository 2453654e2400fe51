package relay

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestWhoMay(t *testing.T) {
	linkA, linkB, a1, a2, b1, stranger := newHost(t), newHost(t), newHost(t), newHost(t), newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{linkA.ID(), linkB.ID()}})
	for _, h := range []host.Host{linkA, linkB, a1, a2, b1, stranger} {
		l.join(h)
	}
	l.vouch(linkA, a1, a2)
	l.vouch(linkB, b1)
	l.mustReserve(linkA, linkB, a1, a2, b1)

	var refused client.ReservationError
	if err := l.reserve(stranger); !errors.As(err, &refused) || refused.Status != pbv2.Status_PERMISSION_DENIED {
		t.Errorf("a stranger's reservation: %v, want permission denied", err)
	}
	if got := l.lastRefusal(stranger); got != ReasonNotAllowed {
		t.Errorf("the relay explains a stranger's refusal with %q", got)
	}
	for _, c := range []struct {
		name     string
		src, dst host.Host
		refused  Reason // empty: allowed
	}{
		{"a stranger joins", stranger, linkA, ""},
		{"a member calls its link", a1, linkA, ""},
		{"a link calls its member", linkA, a2, ""},
		{"members of one federation", a1, a2, ""},
		{"a member joins another federation", b1, linkA, ""},
		{"members of two federations", b1, a1, ReasonOtherFederation},
		{"a link and another's member", linkB, a1, ReasonOtherFederation},
		{"a stranger calls a member", stranger, a1, ReasonNotAllowed},
	} {
		err := l.circuit(c.src, c.dst)
		if (err == nil) != (c.refused == "") {
			t.Errorf("%s: got %v", c.name, err)
			continue
		}
		if c.refused != "" {
			if got := l.lastRefusal(c.src); got != c.refused {
				t.Errorf("%s: explained with %q, want %q", c.name, got, c.refused)
			}
		}
	}
}

func TestRevokingCutsAtOnce(t *testing.T) {
	link, member, friend := newHost(t), newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{link.ID()}})
	for _, h := range []host.Host{link, member, friend} {
		l.join(h)
	}
	members := l.vouch(link, member, friend)
	l.mustReserve(link, member, friend)
	toLink, toFriend, others := l.stream(member, link), l.stream(member, friend), l.stream(friend, link)
	for _, s := range []network.Stream{toLink, toFriend, others} {
		if err := echo(s, 1000); err != nil {
			t.Fatal(err)
		}
	}
	members.Remove(member.ID())
	if err := members.Sync(l.ctx); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]network.Stream{"to the link": toLink, "to a member": toFriend} {
		if err := echo(s, 1000); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the revoked member's circuit %s still works", name)
		}
	}
	if err := echo(others, 1000); err != nil {
		t.Errorf("another member's circuit was cut, too: %v", err)
	}
	l.join(member)
	if err := l.reserve(member); err == nil {
		t.Error("the revoked member may still reserve")
	}
	eventually(t, "the friend noticed the cut", func() bool { return friend.Network().Connectedness(member.ID()) == network.NotConnected })
	if err := l.circuit(friend, member); err == nil {
		t.Error("the revoked member kept its reservation")
	}
}

func TestStrangersOnlyJoin(t *testing.T) {
	link, joining := newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{link.ID()}})
	l.join(link)
	l.join(joining)
	members := l.vouch(link)
	l.mustReserve(link)

	s := l.stream(joining, link)
	if err := echo(s, StrangerBytes); err == nil {
		t.Error("a stranger's circuit carried more than joining takes")
	}
	if got := l.lastRefusal(joining); got != ReasonStrangerBytes {
		t.Errorf("cut for %q, want %q", got, ReasonStrangerBytes)
	}

	eventually(t, "the cut circuit is off the books", func() bool { return l.relay.Status().Circuits == 0 })
	eventually(t, "the joining peer noticed", func() bool { return joining.Network().Connectedness(link.ID()) != network.Connected })
	s = l.stream(joining, link)
	if err := echo(s, 1000); err != nil {
		t.Fatal(err)
	}
	members.Add(joining.ID())
	if err := members.Sync(l.ctx); err != nil {
		t.Fatal(err)
	}
	if err := echo(s, 2*StrangerBytes); err != nil {
		t.Errorf("the same circuit after joining: %v", err)
	}
	l.mustReserve(joining)
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits Limits
		use    func(l *lab, link, a, b host.Host) error // wants to exceed the limit as a
		want   Reason
	}{
		{"circuits of a peer", Limits{PeerCircuits: 1}, func(l *lab, link, a, b host.Host) error {
			l.stream(a, link)
			return l.circuit(a, b)
		}, ReasonPeerCircuits},
		{"circuits of a federation", Limits{FederationCircuits: 1}, func(l *lab, link, a, b host.Host) error {
			l.stream(b, link)
			return l.circuit(a, link)
		}, ReasonFederationCircuits},
		{"circuits of the relay", Limits{Circuits: 1}, func(l *lab, link, a, b host.Host) error {
			l.stream(b, link)
			return l.circuit(a, link)
		}, ReasonRelayFull},
		{"bytes of a peer", Limits{PeerBytes: 100_000}, func(l *lab, link, a, b host.Host) error {
			return echo(l.stream(a, link), 100_000)
		}, ReasonPeerBytes},
		{"bytes of a federation", Limits{FederationBytes: 100_000}, func(l *lab, link, a, b host.Host) error {
			return echo(l.stream(a, link), 100_000)
		}, ReasonFederationBytes},
		{"destination that is not here", Limits{}, func(l *lab, link, a, b host.Host) error {
			return l.circuit(a, b)
		}, ReasonNoReservation},
	} {
		t.Run(c.name, func(t *testing.T) {
			link, a, b := newHost(t), newHost(t), newHost(t)
			l := newLab(t, Options{Links: []peer.ID{link.ID()}, Limits: c.limits})
			for _, h := range []host.Host{link, a, b} {
				l.join(h)
			}
			l.vouch(link, a, b)
			l.mustReserve(link)
			if err := c.use(l, link, a, b); err == nil {
				t.Error("the limit does not bind")
			}
			if got := l.lastRefusal(a); got != c.want {
				t.Errorf("the relay explains with %q, want %q", got, c.want)
			}
		})
	}
}

func TestAnnouncedLimitMakesConnectionsLimited(t *testing.T) {
	link, a := newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{link.ID()}, Limits: Limits{CircuitBytes: 1 << 20}})
	l.join(link)
	l.join(a)
	l.vouch(link, a)
	l.mustReserve(link)
	if s := l.stream(a, link); !s.Conn().Stat().Limited {
		t.Error("the ends do not know that their circuit is limited")
	}
}

func TestOpenMode(t *testing.T) {
	a, b := newHost(t), newHost(t)
	l := newLab(t, Options{Open: true})
	l.join(a)
	l.join(b)
	l.mustReserve(b)
	if s := l.stream(a, b); s.Conn().Stat().Limited {
		t.Error("a circuit without a limit is announced as limited")
	} else if err := echo(s, 3*StrangerBytes); err != nil {
		t.Error(err)
	}
}

func TestSetLinks(t *testing.T) {
	linkA, linkB, a := newHost(t), newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{linkA.ID(), linkB.ID()}})
	for _, h := range []host.Host{linkA, linkB, a} {
		l.join(h)
	}
	l.vouch(linkA, a)
	l.mustReserve(linkA)
	s := l.stream(a, linkA)
	if err := l.relay.SetLinks([]peer.ID{linkB.ID()}); err != nil {
		t.Fatal(err)
	}
	if err := echo(s, 10); err == nil {
		t.Error("a circuit to a link that is not allowed any more goes on")
	}
	if err := l.relay.SetLinks(nil); !errors.Is(err, ErrServesNobody) {
		t.Errorf("SetLinks(nil) = %v", err)
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	h := newHost(t)
	for name, options := range map[string]Options{
		"nobody":         {},
		"no peer id":     {Links: []peer.ID{""}},
		"negative limit": {Open: true, Limits: Limits{PeerRate: -1}},
		"tiny buffer":    {Open: true, BufferSize: 1},
		"too short":      {Open: true, Limits: Limits{CircuitTime: time.Millisecond}},
	} {
		if r, err := New(h, options); err == nil {
			_ = r.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	link, a, stranger := newHost(t), newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{link.ID()}, Registerer: registry})
	for _, h := range []host.Host{link, a, stranger} {
		l.join(h)
	}
	l.vouch(link, a)
	l.mustReserve(link)
	if err := echo(l.stream(a, link), 10_000); err != nil {
		t.Fatal(err)
	}
	_ = l.reserve(stranger)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, least := range map[string]float64{
		"rhizome_relay_circuits": 1, "rhizome_relay_circuits_total": 1, "rhizome_relay_bytes_total": 20_000,
		"rhizome_relay_refusals_total": 1, "rhizome_relay_members": 1, "rhizome_relay_link_vouching": 1,
	} {
		if got[name] < least {
			t.Errorf("%s = %v, want at least %v", name, got[name], least)
		}
	}
	// A closed relay leaves room for its successor on the same registry.
	if err := l.relay.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := New(newHost(t), Options{Open: true, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestCloseEndsEverything(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // runs last: after the hosts' cleanups
	link, a := newHost(t), newHost(t)
	l := newLab(t, Options{Links: []peer.ID{link.ID()}, Limits: Limits{PeerRate: 1000}})
	l.join(link)
	l.join(a)
	l.vouch(link, a)
	l.mustReserve(link)
	s := l.stream(a, link)
	stuck := make(chan error, 1)
	go func() { stuck <- echo(s, 1<<20) }() // a quarter of an hour at that rate
	if err := l.relay.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-stuck; err == nil {
		t.Error("the circuit went on")
	}
	if got := l.relay.Status().Circuits; got != 0 {
		t.Errorf("%d circuits on the books of a closed relay", got)
	}
}

// eventually waits for what another goroutine brings about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
