//go:build linux

package nat

import (
	"fmt"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// Four nodes work on one run together for a link behind a router: one has nothing but a web
// proxy, one is behind a firewall that blocks UDP, one is behind a symmetric NAT, and one is
// behind an ordinary router.
func TestARunAcrossNetworksOfAllKinds(t *testing.T) {
	beside(t)
	python := venv(t)
	line := natlab.Link{Delay: rtt / 2}
	w := newWorld(t,
		natlab.Site{Name: "relay", Kind: natlab.Public},
		natlab.Site{Name: "home", Kind: natlab.Cone, Uplink: line},
		natlab.Site{Name: "bank", Kind: natlab.Proxy, Uplink: line},
		natlab.Site{Name: "ward", Kind: natlab.UDPBlocked, Uplink: line},
		natlab.Site{Name: "firm", Kind: natlab.Symmetric, Uplink: line},
		natlab.Site{Name: "flat", Kind: natlab.Cone, Uplink: line},
	)
	app := []string{"--isolation", "subprocess", "--python", python}
	_, flags := w.relays(w.peerID("link"), "relay")
	link, _ := w.link("home", "link", append(flags, app...)...)
	w.eventually("the link knows its public address", startLimit, func() bool { return link.names(w.lab.PublicAddr("home")) })
	ticket := link.ticketVia(1)
	sites := []string{"bank", "ward", "firm", "flat"}
	for i, site := range sites {
		args := append([]string{"--node-config", fmt.Sprintf("partition-id=%d num-partitions=%d", i, len(sites))}, app...)
		if site == "bank" {
			args = append(args, w.throughProxy(site)...)
		}
		w.node(site, site, ticket, args...)
	}
	quickstart, err := filepath.Abs(filepath.Join("..", "..", "examples", "quickstart"))
	w.must(err)
	out := w.flwrRun("home", python, quickstart, fmt.Sprintf("min-nodes=%d", len(sites))).await(t, 5*time.Minute)
	if !regexp.MustCompile(`(?m)round 3: accuracy 0\.[89]`).MatchString(out) {
		t.Errorf("the app has not learnt:\n%s", tail(out, 40))
	}
	for _, site := range sites {
		direct := site == "flat"
		w.eventually(fmt.Sprintf("%s is reached directly: %v", site, direct), startLimit, func() bool {
			path := link.asLink().sees(site)
			return path != nil && path.Direct == direct
		})
	}
}
