//go:build linux

package nat

import (
	"fmt"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// backLimit is how soon a session must be back after the network is. The promise is 15 s, and
// the actual time is logged; a busy machine gets some extra time.
const backLimit = 30 * time.Second

// alive tells whether a node and its link both report a session, and it has carried something
// since a given moment.
func alive(link, node *daemon, since time.Time) bool {
	s := node.asNode().Link.Session
	return s.Open && (s.Since.After(since) || s.Heard.After(since)) && link.asLink().sees(node.name) != nil
}

// awaitAlive waits until alive holds, and records how long that took for each node.
func (w *world) awaitAlive(what string, link *daemon, since time.Time, nodes ...*daemon) []time.Duration {
	w.t.Helper()
	took := make([]time.Duration, len(nodes))
	back := func() (all bool) {
		all = true
		for i, node := range nodes {
			if took[i] == 0 && alive(link, node, since) {
				took[i] = time.Since(since)
				w.t.Logf("%s: %s has its session after %d ms", what, node.name, took[i].Milliseconds())
			}
			all = all && took[i] > 0
		}
		return all
	}
	if !w.within(backLimit, back) {
		for i, node := range nodes {
			if took[i] == 0 {
				w.t.Errorf("%s: %s has no session %v later; the last failure: %s", what, node.name, backLimit, node.asNode().Link.LastFailure)
			}
		}
	}
	return took
}

// field is a federation with a node on each kind of path: a link behind a cone NAT, a node
// that reaches it directly, one that does not, and relays.
type field struct {
	*world
	linkID          string
	relays          []*daemon
	link            *daemon
	direct, relayed *daemon
}

func newField(t *testing.T, relays int, uplink natlab.Link, linkArgs, nodeArgs []string, more ...natlab.Site) *field {
	t.Helper()
	sites := append([]natlab.Site{
		{Name: "home", Kind: natlab.Cone, Uplink: uplink},
		{Name: "clinic", Kind: natlab.Cone, Uplink: uplink},
		{Name: "campus", Kind: natlab.Symmetric, Uplink: uplink},
	}, more...)
	var hosts []string
	for i := range relays {
		hosts = append(hosts, fmt.Sprint("relay", i+1))
		sites = append(sites, natlab.Site{Name: hosts[i], Kind: natlab.Public})
	}
	f := &field{world: newWorld(t, sites...)}
	f.linkID = f.peerID("link")
	var flags []string
	f.relays, flags = f.world.relays(f.linkID, hosts...)
	f.link, _ = f.world.link("home", "link", append(flags, linkArgs...)...)
	ticket := f.link.ticketVia(relays)
	f.direct = f.node("clinic", "clinic", ticket, nodeArgs...)
	f.relayed = f.node("campus", "campus", ticket, nodeArgs...)
	f.direct.mustBeReady()
	f.relayed.mustBeReady()
	f.awaitDirect()
	return f
}

// awaitDirect waits until both ends report that the session of the node whose network allows
// it is on a direct path. What comes next must not catch it while it moves.
func (f *field) awaitDirect() {
	f.t.Helper()
	f.eventually(f.direct.name+" has its session on a direct path", directLimit, func() bool {
		own, seen := f.direct.asNode().Link, f.link.asLink().sees(f.direct.name)
		return own.Session.Open && own.Path != nil && own.Path.Direct && !own.Session.Since.Before(own.Path.Since) &&
			seen != nil && seen.Direct
	})
}

// relayOf is the relay that a node's path goes through.
func (f *field) relayOf(node *daemon) *daemon {
	f.t.Helper()
	path := node.asNode().Link.Path
	if path == nil || path.Direct {
		f.t.Fatalf("%s has no relayed path: %+v", node.name, path)
	}
	for _, r := range f.relays {
		var s relayStatus
		if r.status(&s) && s.PeerID == path.Relay {
			return r
		}
	}
	f.t.Fatalf("%s uses relay %s, which is none of ours", node.name, path.Relay)
	return nil
}

func TestStatusMeasuresRoundTrips(t *testing.T) {
	beside(t)
	f := newField(t, 1, natlab.Link{Delay: rtt / 2}, nil, nil)
	f.eventually("the link has sessions with both", backLimit, func() bool {
		s := f.link.asLink()
		return s.sees("clinic") != nil && s.sees("campus") != nil
	})
	for name, path := range map[string]*pathStatus{
		"the link's to the clinic": f.link.asLink().sees("clinic"), "the link's to the campus": f.link.asLink().sees("campus"),
		"the clinic's": f.direct.asNode().Link.Path, "the campus's": f.relayed.asNode().Link.Path,
	} {
		if path == nil || path.RTTMillis < 100 {
			t.Errorf("%s path should have a round trip of 100 ms and more: %+v", name, path)
		} else {
			t.Logf("%s path: %.1f ms, direct: %v", name, path.RTTMillis, path.Direct)
		}
	}
}

// A relay can die in two ways: its process dies, and the kernel tells everybody; or its
// machine or network does, and nobody is told.
func TestDeathOfOneOfTwoRelays(t *testing.T) {
	beside(t)
	table := "| what dies | session through the other relay after |\n|---|---|\n"
	for _, silent := range []bool{false, true} {
		t.Run(map[bool]string{false: "process", true: "network"}[silent], func(t *testing.T) {
			f := newField(t, 2, natlab.Link{Delay: rtt / 2}, nil, nil)
			dead := f.relayOf(f.relayed)
			if silent {
				f.must(f.lab.Cut(dead.host))
			} else {
				dead.kill()
			}
			since := time.Now()
			f.eventually("the campus goes through the other relay", backLimit, func() bool {
				path := f.relayed.asNode().Link.Path
				return path != nil && !f.isVia(path, dead) && alive(f.link, f.relayed, since)
			})
			took := time.Since(since)
			table += fmt.Sprintf("| the %s of the relay | %s |\n", map[bool]string{false: "process", true: "network"}[silent], millis(took))
			f.awaitAlive("the clinic does not mind", f.link, since, f.direct)
			if silent {
				f.must(f.lab.Restore(dead.host))
			}
		})
	}
	record(t, "relays", table)
}

// isVia tells whether a path goes through a relay that may be dead.
func (f *field) isVia(path *pathStatus, relay *daemon) bool {
	return !path.Direct && path.Relay == relayID.FindStringSubmatch(relay.output())[1]
}
