package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// ErrNothing: there is neither a link nor a relay to which a way could be examined.
var ErrNothing = errors.New("there is nothing to examine: no address of a link or a relay is known")

// Examine makes all checks, and returns within [MaxTime] with what it found by then. An error
// means that nothing could be examined.
func Examine(ctx context.Context, cfg Config) (Report, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	s, err := newSite(cfg)
	if err != nil {
		return Report{}, err
	}
	if len(s.direct)+len(s.relays) == 0 {
		return Report{}, ErrNothing
	}
	h, err := s.host(true, 0)
	if err != nil {
		return Report{}, fmt.Errorf("open sockets to examine from: %w", err)
	}
	defer h.Close()
	r := Report{
		At: began, Software: cfg.Software, Self: s.cfg.Identity.ID, Temporary: s.temporary,
		Link: cfg.Link, OwnLink: cfg.OwnLink, Running: cfg.Running, Federation: cfg.Federation,
		Daemon: cfg.Daemon,
	}
	if proxy := s.proxyFor("rhizome.invalid:443"); proxy != nil {
		r.Proxy = proxy.Redacted()
	}
	router := make(chan routerFound, 1)
	var asking sync.WaitGroup
	asking.Go(func() { router <- askRouter(ctx) })
	defer asking.Wait()

	ways := s.findWays(ctx, h, &r)
	defer func() {
		for _, w := range ways {
			_ = w.Close()
		}
	}()
	circuits, closeCircuits := s.examine(ctx, &r, ways)
	defer closeCircuits()
	s.addRouter(&r, <-router)
	s.measure(ctx, &r, append(slices.Clone(ways), circuits...))
	r.Unknown = append(s.unknown, r.unknowns()...)
	r.Took = time.Since(began).Round(time.Millisecond).Seconds()
	r.Verdict = Judge(r)
	return r, nil
}

// findWays is phase 1.
func (s *site) findWays(ctx context.Context, h host.Host, r *Report) []*way {
	ctx, cancel := context.WithTimeout(ctx, waysTime)
	defer cancel()
	type target struct {
		peer    peer.ID
		isRelay bool
		addr    ma.Multiaddr
	}
	var targets []target
	for _, a := range s.direct {
		targets = append(targets, target{s.cfg.Link, false, a})
	}
	for _, info := range s.relays {
		for _, a := range info.Addrs {
			targets = append(targets, target{info.ID, true, a})
		}
	}
	if len(targets) > maxAddresses {
		s.dontKnow("%d of %d addresses were not tried", len(targets)-maxAddresses, len(targets))
		targets = targets[:maxAddresses]
	}
	r.Addresses = make([]Address, len(targets))
	found := make([]*way, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() { r.Addresses[i], found[i] = s.checkAddress(ctx, h, t.peer, t.isRelay, t.addr) })
	}
	all.Wait()
	return slices.DeleteFunc(found, func(w *way) bool { return w == nil })
}

// examine is phase 2: relays, and who gets in through the NAT.
func (s *site) examine(ctx context.Context, r *Report, ways []*way) (circuits []*way, closeAll func()) {
	ctx, cancel := context.WithTimeout(ctx, relaysTime)
	defer cancel()
	own, err := ownAddresses()
	if err != nil {
		s.dontKnow("the addresses of this machine: %v", err)
	}
	r.NAT.observe(ways, own)
	r.Relays = make([]Relay, len(s.relays))
	found := make([]*way, len(s.relays))
	closers := make([]func(), len(s.relays))
	var all sync.WaitGroup
	for i, info := range s.relays {
		all.Go(func() { r.Relays[i], found[i], closers[i] = s.checkRelay(ctx, info.ID, answering(ways, info.ID)) })
	}
	var door error
	all.Go(func() {
		check := doorCheck{site: s, nat: &r.NAT, ways: ways, own: own}
		door = check.run(ctx)
	})
	all.Wait()
	if door != nil {
		s.dontKnow("whom the NAT or firewall lets in (filtering): %v", door)
	}
	closeAll = func() {
		for _, c := range closers {
			c()
		}
	}
	return slices.DeleteFunc(found, func(w *way) bool { return w == nil }), closeAll
}

// answering returns the addresses at which a peer was reached.
func answering(ways []*way, p peer.ID) (addrs []ma.Multiaddr) {
	for _, w := range ways {
		if w.address.Peer == p && w.asked != nil {
			addrs = append(addrs, w.address.dialled)
		}
	}
	return addrs
}

// observe fills in what the connections of phase 1 reveal.
func (n *NAT) observe(ways []*way, own []netip.Addr) {
	n.Observations = []Observation{}
	for _, w := range ways {
		if o, ok := observationOf(w); ok {
			n.Observations = append(n.Observations, o)
		}
	}
	n.UDP, n.TCP = mappingOf(n.Observations, true), mappingOf(n.Observations, false)
	n.Translated, n.Public = translated(n.Observations, own), publicOf(n.Observations)
}

func (s *site) addRouter(r *Report, found routerFound) {
	r.NAT.UPnP, r.NAT.PMP, r.NAT.Router = found.upnp, found.pmp, found.name
	if !found.outside.IsValid() || len(r.NAT.Public) == 0 {
		return
	}
	r.NAT.DoubleNAT = Yes
	if slices.Contains(r.NAT.Public, found.outside.String()) {
		r.NAT.DoubleNAT = No
	}
}

// measure is phase 3, and also collects what earlier connections reveal about clock and MTU.
func (s *site) measure(ctx context.Context, r *Report, ways []*way) {
	ctx, cancel := context.WithTimeout(ctx, pathsTime)
	defer cancel()
	r.Paths = []Path{}
	if !s.cfg.OwnLink || s.cfg.Running {
		r.Paths = append(r.Paths, s.measureAll(ctx, ways)...)
	}
	r.Clock = clockOf(ways, s.cfg.Link)
	r.MTU = mtuOf(r.Addresses)
}

// clockOf takes the link's clock, or else a relay's, over the shortest way.
func clockOf(ways []*way, link peer.ID) Clock {
	heard := slices.DeleteFunc(slices.Clone(ways), func(w *way) bool { return w.asked == nil || w.rtt == 0 })
	if len(heard) == 0 {
		return Clock{Why: "no peer that was reached tells the time"}
	}
	best := slices.MinFunc(heard, func(a, b *way) int {
		return cmp.Or(boolToInt(a.from != link)-boolToInt(b.from != link), cmp.Compare(a.rtt, b.rtt))
	})
	return Clock{Known: true, With: best.from, Ahead: best.ahead.Seconds(), Within: (best.rtt / 2).Seconds()}
}

// mtuOf takes the smallest value that TCP was told on a way to the internet.
func mtuOf(all []Address) MTU {
	least := 0
	for _, a := range all {
		if !a.Private && a.MTU > 0 && (least == 0 || a.MTU < least) {
			least = a.MTU
		}
	}
	if least == 0 {
		return MTU{How: "not known: no TCP connection to the internet revealed it"}
	}
	return MTU{Bytes: least, How: "as TCP was told: by the route, by routers and by the other side's segment size; a router that drops larger packets silently would not show"}
}
