//go:build linux

package natlab

import (
	"testing"
	"time"
)

func TestLoseIsOneWay(t *testing.T) {
	l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "home", Kind: Cone, Uplink: Link{MTU: 1400}})
	inside, outside := udp(t, l, "home", 4001), udp(t, l, "r", 9000)
	out, in := endpoint(l.Addr("r"), 9000), endpoint(l.PublicAddr("home"), 4001)
	if !reaches(inside, out, outside, patience) || !reaches(outside, in, inside, patience) {
		t.Fatal("no conversation over the good line")
	}
	for _, c := range []struct {
		name          string
		lost          Direction
		leaves, comes bool
	}{
		{name: "from the site", lost: FromSite, comes: true},
		{name: "to the site", lost: ToSite, leaves: true},
		{name: "both ways", lost: BothWays},
	} {
		if err := l.Lose("home", c.lost, 1); err != nil {
			t.Fatal(err)
		}
		if got := reaches(inside, out, outside, waitFor(c.leaves)); got != c.leaves {
			t.Errorf("lost %s: leaves the site: %v", c.name, got)
		}
		if got := reaches(outside, in, inside, waitFor(c.comes)); got != c.comes {
			t.Errorf("lost %s: comes to the site: %v", c.name, got)
		}
		if err := l.Lose("home", c.lost, 0); err != nil {
			t.Fatal(err)
		}
		if !reaches(inside, out, outside, patience) || !reaches(outside, in, inside, patience) {
			t.Errorf("lost %s: nothing gets through when it is over", c.name)
		}
	}
}

// waitFor returns how long to wait for something that should arrive, or should not.
func waitFor(comes bool) time.Duration {
	if comes {
		return patience
	}
	return silence
}

func TestLoseRefusesNonsense(t *testing.T) {
	l := build(t, Site{Name: "ideal", Kind: Public}, Site{Name: "home", Kind: Cone, Uplink: Link{GSO: true}})
	for name, err := range map[string]error{
		"no such site":       l.Lose("nowhere", BothWays, 1),
		"an ideal line":      l.Lose("ideal", BothWays, 1),
		"a loss of 2":        l.Lose("home", BothWays, 2),
		"half a super-frame": l.Lose("home", BothWays, 0.5),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := l.Lose("home", BothWays, 1); err != nil {
		t.Error(err)
	}
}
