//go:build linux

package natlab

import (
	"net"
	"testing"
)

// hostOf returns the host of an address with a port.
func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}

func TestMovedHostHasAddressesOfItsNewSite(t *testing.T) {
	l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "home", Kind: Cone, Hosts: []string{"laptop", "desk"}},
		Site{Name: "office", Kind: Symmetric}, Site{Name: "far", Kind: Cone, Uplink: Link{MTU: 1400}})
	mirror(t, l, "r", 9000)
	r := endpoint(l.Addr("r"), 9000)
	c, desk := udp(t, l, "laptop", 4001), udp(t, l, "desk", 4002)
	if before := mapping(c, r, patience); before != endpoint(l.PublicAddr("laptop"), 4001).String() {
		t.Fatalf("at home it is seen as %q", before)
	}
	for _, site := range []string{"office", "far", "home"} {
		if err := l.Move("laptop", site); err != nil {
			t.Fatal(err)
		}
		other := map[string]string{"office": "office", "far": "far", "home": "desk"}[site]
		if l.Addr("laptop") == l.Addr(other) || l.PublicAddr("laptop") != l.PublicAddr(other) || l.Gateway("laptop") != l.Gateway(other) {
			t.Errorf("in %s it has address %s, seen as %s, by gateway %s", site, l.Addr("laptop"), l.PublicAddr("laptop"), l.Gateway("laptop"))
		}
		if seen := mapping(c, r, patience); seen == "" || hostOf(seen) != l.PublicAddr(other) {
			t.Errorf("in %s it is seen as %q", site, seen)
		}
	}
	if !reaches(c, endpoint(l.Addr("desk"), 4002), desk, patience) {
		t.Error("back home it does not reach its neighbour")
	}
	if l.Move("laptop", "nowhere") == nil || l.Move("nobody", "home") == nil {
		t.Error("moving a host or to a site that does not exist gives no error")
	}
}

func TestRenumberedSiteIsElsewhere(t *testing.T) {
	for name, link := range map[string]Link{"ideal": {}, "shaped": {MTU: 1400}} {
		for _, kind := range []Kind{Cone, CGNAT, Symmetric} {
			t.Run(name+" "+string(kind), func(t *testing.T) {
				l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "home", Kind: kind, Uplink: link})
				mirror(t, l, "r", 9000)
				r := endpoint(l.Addr("r"), 9000)
				c, outside := udp(t, l, "home", 4001), udp(t, l, "r", 9001)
				old := l.PublicAddr("home")
				if seen := mapping(c, r, patience); hostOf(seen) != old {
					t.Fatalf("seen as %q, want %s", seen, old)
				}
				if err := l.Renumber("home"); err != nil {
					t.Fatal(err)
				}
				now := l.PublicAddr("home")
				if seen := mapping(c, r, patience); now == old || hostOf(seen) != now {
					t.Errorf("seen as %q, want %s, which was %s", seen, now, old)
				}
				// A conversation that begins at the new address works; the old address belongs to nobody.
				if kind != Symmetric && (!reaches(c, endpoint(l.Addr("r"), 9001), outside, patience) || !reaches(outside, endpoint(now, 4001), c, patience)) {
					t.Error("no conversation at the new address")
				}
				if reaches(outside, endpoint(old, 4001), c, silence) {
					t.Error("something gets through by the old address")
				}
				if err := l.Cut("home"); err != nil {
					t.Fatal(err)
				}
				if mapping(c, r, silence) != "" {
					t.Error("a renumbered site cannot be cut off")
				}
			})
		}
	}
	l := build(t, Site{Name: "r", Kind: Public})
	if l.Renumber("r") == nil || l.Renumber("nowhere") == nil {
		t.Error("renumbering hosts with public addresses, or a site that does not exist, gives no error")
	}
}
