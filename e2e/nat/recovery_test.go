//go:build linux

package nat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// trouble is something that sessions must survive. It is over when happens returns.
type trouble struct {
	name    string
	happens func(f *field)
}

// both makes something happen to both nodes.
func both(do func(f *field, node *daemon)) func(*field) {
	return func(f *field) {
		do(f, f.direct)
		do(f, f.relayed)
	}
}

var troubles = []trouble{
	{"NAT mappings of the nodes are flushed", both(func(f *field, node *daemon) { f.must(f.lab.FlushNAT(node.host)) })},
	{"NAT mappings of the link are flushed", func(f *field) { f.must(f.lab.FlushNAT("home")) }},
	{"the link is killed and starts again", func(f *field) { f.link.diesAndReturns() }},
	{"the relay is killed and starts again", func(f *field) { f.relays[0].diesAndReturns() }},
	{"the nodes' networks get other public addresses", both(func(f *field, node *daemon) { f.must(f.lab.Renumber(node.host)) })},
	{"the link's network gets another public address", func(f *field) { f.must(f.lab.Renumber("home")) }},
	{"the nodes sleep for " + asleep().String(), (*field).sleepLong},
	// This one is last because afterwards the sites no longer have the names of their hosts.
	{"the nodes are carried to other networks", func(f *field) {
		f.must(f.lab.Move("clinic", "cafe"))
		f.must(f.lab.Move("campus", "hotel"))
	}},
}

func (d *daemon) diesAndReturns() {
	d.kill()
	d.run()
	d.mustBeReady()
}

func TestSessionsComeBack(t *testing.T) {
	beside(t)
	uplink := natlab.Link{Delay: rtt / 2}
	// The grace period counts from the last sign of life, and silence is noticed after 15 s.
	// Sleeping nodes are therefore away for the 10 s in between, and are given up before they
	// wake.
	f := newField(t, 1, uplink, []string{"--grace", "25s"}, nil,
		natlab.Site{Name: "cafe", Kind: natlab.Cone, Uplink: uplink}, natlab.Site{Name: "hotel", Kind: natlab.Symmetric, Uplink: uplink})
	ids := f.nodeIDs()
	table := "| what happens | direct path | through a relay |\n|---|---|---|\n"
	for _, trouble := range troubles {
		trouble.happens(f)
		since := time.Now()
		took := f.awaitAlive(trouble.name, f.link, since, f.direct, f.relayed)
		table += fmt.Sprintf("| %s | %s | %s |\n", trouble.name, millis(took[0]), millis(took[1]))
		f.keepTheir(ids)
		f.awaitDirect()
	}
	record(t, "recovery", table)
}

// nodeIDs returns the ids that the two nodes have from their link.
func (f *field) nodeIDs() (ids [2]string) {
	f.t.Helper()
	for i, node := range []*daemon{f.direct, f.relayed} {
		ids[i] = node.asNode().NodeID
		if seen := f.link.asLink().node(node.name).ID; ids[i] == "" || seen != ids[i] {
			f.t.Errorf("%s says that it is node %q, and its link that it is %q", node.name, ids[i], seen)
		}
	}
	return ids
}

// keepTheir checks that the nodes have kept their ids, and that the link knows no others.
func (f *field) keepTheir(ids [2]string) {
	f.t.Helper()
	if now := f.nodeIDs(); now != ids {
		f.t.Errorf("the nodes were %v, and are %v", ids, now)
	}
	if nodes := f.link.asLink().Nodes; len(nodes) != len(ids) {
		f.t.Errorf("the link knows %d nodes", len(nodes))
	}
}

// asleep is how long laptops sleep: longer than any heartbeat, grace or idle time.
func asleep() time.Duration {
	if recording() {
		return 5 * time.Minute
	}
	return 40 * time.Second
}

// sleepLong puts both nodes to sleep, and checks that the link first considers them away and,
// once its patience runs out, gone.
func (f *field) sleepLong() {
	f.t.Helper()
	nodes := []*daemon{f.direct, f.relayed}
	for _, node := range nodes {
		f.sleep(node)
	}
	wakes := time.After(asleep())
	f.awaitAway(nodes...)
	for _, node := range nodes {
		f.eventually("the link gives a node up", startLimit, func() bool {
			return f.link.asLink().node(node.name).Status == "offline"
		})
	}
	<-wakes
	for _, node := range nodes {
		f.awake(node)
	}
}

// awaitAway waits until the link has noticed that nodes are silent, and is being patient with
// them.
func (f *field) awaitAway(nodes ...*daemon) {
	f.t.Helper()
	away := make(map[string]bool)
	f.eventually("the link notices that nodes are away", startLimit, func() bool {
		status := f.link.asLink()
		for _, node := range nodes {
			seen := status.node(node.name)
			away[node.name] = away[node.name] || seen.Session == nil && seen.Status == "online" && seen.AwayUntil != nil
		}
		return !slices.ContainsFunc(nodes, func(node *daemon) bool { return !away[node.name] })
	})
}
