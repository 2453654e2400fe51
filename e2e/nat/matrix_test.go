//go:build linux

package nat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// kinds are the networks that both the link and a node are put into.
var kinds = []natlab.Kind{
	natlab.Public, natlab.FullCone, natlab.Cone, natlab.CGNAT, natlab.Firewalled,
	natlab.Symmetric, natlab.UDPBlocked, natlab.Proxy,
}

const (
	// rtt is a site's share of the round trip: it is 100 ms between any two sites, and 50 ms
	// to a relay, which stands in the middle.
	rtt = 50 * time.Millisecond
	// directLimit is how long a test waits for a direct path. The slowest takes three
	// attempts at hole punching.
	directLimit = 30 * time.Second
	// surprise is how long after its start a node is watched whose path cannot be direct. It
	// covers more than one round of hole punching and its first repetitions.
	surprise = 12 * time.Second
	// slow is how long a session may take before the reason is worth a look.
	slow = 3 * time.Second
)

// punchable tells whether a node in one kind of network ends up with a direct path to
// a link in another.
//
//   - A link that can be called at port 443 is called.
//   - Otherwise both must show the same port to everyone before a hole can be punched; a
//     full cone and a public host take packets from any port, so one of them is enough.
//   - A party that may only send to port 443 cannot send to the port of a node.
func punchable(node, link natlab.Kind) bool {
	oneWay := func(k natlab.Kind) bool { return k == natlab.UDPBlocked || k == natlab.Proxy }
	open := func(k natlab.Kind) bool { return k == natlab.Public || k == natlab.FullCone }
	switch {
	case open(link):
		return true
	case oneWay(node) || oneWay(link):
		return false
	case open(node):
		return true
	}
	return node != natlab.Symmetric && link != natlab.Symmetric
}

// sameLAN stands in tables for the place of a node that shares the link's site.
const sameLAN = "the same LAN"

// pair is one cell of the matrix.
type pair struct {
	node, link string // kinds
	relays     int
	session    time.Duration // after the start of the node's process
	direct     time.Duration // also after the start; 0: never
	transport  string        // of the final path
	want       bool          // whether a direct path is expected
}

// matrixSites returns a place of each kind for a link and one for a node. Every link's place
// has a second host, for a node in the same LAN.
func matrixSites() []natlab.Site {
	sites := []natlab.Site{{Name: "relay1", Kind: natlab.Public}, {Name: "relay2", Kind: natlab.Public}}
	for _, k := range kinds {
		link := natlab.Site{
			Name: "link-" + string(k), Kind: k, Uplink: natlab.Link{Delay: rtt / 2},
			Hosts: []string{"link-" + string(k), "lan-" + string(k)},
		}
		node := natlab.Site{Name: "node-" + string(k), Kind: k, Uplink: natlab.Link{Delay: rtt / 2}}
		if k == natlab.FullCone {
			link.Forward, node.Forward = []int{443}, []int{4001}
		}
		sites = append(sites, link, node)
	}
	return sites
}

func TestEveryPairOfNetworks(t *testing.T) {
	w := newWorld(t, matrixSites()...)
	var all []pair
	for _, relays := range []int{1, 2} {
		for _, kind := range kinds {
			t.Run(fmt.Sprintf("%s with %d relays", kind, relays), func(t *testing.T) {
				all = append(all, w.in(t).column(kind, relays)...)
			})
		}
	}
	if !t.Failed() {
		record(t, "grid", pathGrid(all))
		record(t, "pairs", pairTable(all))
	}
}

// column starts a link in one kind of network and a node in each kind, all at once.
func (w *world) column(kind natlab.Kind, relays int) []pair {
	host := "link-" + string(kind)
	name := fmt.Sprintf("%s-%d", host, relays)
	relay, flags := w.relays(w.peerID(name), []string{"relay1", "relay2"}[:relays]...)
	defer stop(relay...)
	switch kind {
	case natlab.Public, natlab.FullCone:
		flags = append(flags, well443...)
	case natlab.Proxy:
		flags = append(flags, w.throughProxy(host)...)
	}
	link, _ := w.link(host, name, flags...)
	defer link.stop()
	// Once a link has been up for a moment, it knows its public address and names it.
	w.within(5*time.Second, func() bool { return link.names(w.lab.PublicAddr(host)) })
	ticket := link.ticketVia(relays)

	var pairs []pair
	var nodes []*daemon
	add := func(k natlab.Kind, p pair, host string) {
		var args []string
		switch k {
		case natlab.FullCone:
			args = []string{"--port", "4001"}
		case natlab.Proxy:
			args = w.throughProxy(host)
		}
		p.link, p.relays = string(kind), relays
		node := w.node(host, fmt.Sprintf("%s-%s-%d", host, kind, relays), ticket, args...)
		nodes, pairs = append(nodes, node), append(pairs, p)
	}
	for _, k := range kinds {
		add(k, pair{node: string(k), want: punchable(k, kind)}, "node-"+string(k))
	}
	if kind != natlab.Public {
		add(kind, pair{node: sameLAN, want: true}, "lan-"+string(kind))
	}
	for i, node := range nodes {
		w.settle(link, node, &pairs[i])
	}
	stop(nodes...)
	return pairs
}

// settle waits until a node has the path that its pair of networks allows, and records it.
func (w *world) settle(link, node *daemon, p *pair) {
	after, ok := node.awaitReady(startLimit)
	if !ok {
		w.t.Errorf("a node in %s gets no session with a link in %s:\n%s", p.node, p.link, tail(node.output(), 20))
		return
	}
	p.session = after
	if after > slow {
		w.t.Logf("a node in %s took %v to get a session with a link in %s:\n%s", p.node, after, p.link, tail(node.output(), 20))
	}
	limit := directLimit
	if !p.want {
		limit = 0 // it is not expected; waiting for it only makes sure of that
		if recording() {
			limit = surprise - time.Since(node.started)
		}
	}
	w.within(limit, func() bool {
		path := node.direct()
		if path != nil {
			p.direct, p.transport = path.Since.Sub(node.started), path.Transport
		}
		return path != nil
	})
	if p.direct == 0 {
		if path := node.asNode().Link.Path; path != nil {
			p.transport = path.Transport
		}
		if p.want {
			w.t.Errorf("a node in %s gets no direct path to a link in %s; the last failure: %s",
				p.node, p.link, node.asNode().Link.LastFailure)
		}
		return
	}
	// Both ends must agree that the session has moved.
	if p.want && !w.within(directLimit, func() bool {
		path := link.asLink().sees(node.name)
		return path != nil && path.Direct
	}) {
		w.t.Errorf("the link in %s has no session on the direct path to a node in %s", p.link, p.node)
	}
}

// sorted puts pairs in the order of the kinds.
func sorted(pairs []pair) []pair {
	order := func(k string) int { return slices.Index(kinds, natlab.Kind(k)) }
	slices.SortStableFunc(pairs, func(a, b pair) int {
		if a.link != b.link {
			return order(a.link) - order(b.link)
		}
		return 0
	})
	return pairs
}
