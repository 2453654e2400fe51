//go:build linux

package nat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// joins is how many nodes join one after the other, to show how much the time varies.
const joins = 3

// Nodes join where any two sites, including a relay, are 100 ms apart, so a relayed path has
// a round trip of 200 ms.
func TestJoiningIsFast(t *testing.T) {
	line := natlab.Link{Delay: rtt / 2}
	w := newWorld(t,
		natlab.Site{Name: "relay", Kind: natlab.Public, Uplink: line},
		natlab.Site{Name: "cloud", Kind: natlab.Public, Uplink: line},
		natlab.Site{Name: "home", Kind: natlab.Cone, Uplink: line},
		natlab.Site{Name: "clinic", Kind: natlab.Cone, Uplink: line},
	)
	table := "| link | promised | session after | direct after |\n|---|---|---|---|\n"
	for _, c := range []struct{ name, host, promise string }{
		{"public", "cloud", "1500 ms"},
		{"behind a cone NAT, by a relay", "home", "3000 ms, direct 5000 ms later"},
	} {
		var flags []string
		if c.host == "home" {
			_, flags = w.relays(w.peerID(c.host), "relay")
		}
		link, ticket := w.link(c.host, c.host, flags...)
		if c.host == "home" {
			w.eventually("the link knows its public address", startLimit, func() bool { return link.names(w.lab.PublicAddr(c.host)) })
			ticket = link.ticketVia(1)
		}
		var sessions, directs []time.Duration
		for i := range joins {
			node := w.node("clinic", fmt.Sprintf("%s-node%d", c.host, i), ticket)
			p := pair{node: "cone", link: c.name, want: true}
			w.settle(link, node, &p)
			sessions, directs = append(sessions, p.session), append(directs, p.direct)
			node.stop()
		}
		table += fmt.Sprintf("| %s | %s | %s | %s |\n", c.name, c.promise, spread(sessions), spread(directs))
	}
	if !t.Failed() {
		record(t, "joining", table)
	}
}

// spread shows the median of some times, and their extremes.
func spread(times []time.Duration) string {
	slices.Sort(times)
	return fmt.Sprintf("%d ms (%d to %d)", times[len(times)/2].Milliseconds(), times[0].Milliseconds(), times[len(times)-1].Milliseconds())
}
