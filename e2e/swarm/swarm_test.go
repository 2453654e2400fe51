//go:build linux

package swarm

import (
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// linkLine is the line of a small institution, nodeLine that of a site.
var (
	linkLine = natlab.Link{Delay: 10 * time.Millisecond, Rate: 50_000_000, GSO: true}
	nodeLine = natlab.Link{Delay: 10 * time.Millisecond, Rate: 200_000_000, GSO: true}
)

const modelSize = 25_000_000

func TestAModelReachesEightNodesOverOneUplink(t *testing.T) {
	const n = 8
	f := found(t, linkLine, nodeLine, n, natlab.Public, "--swarm")
	f.joinAll(n)
	a, m := f.begin(), newModel(modelSize)
	before := f.fromLink()
	pushed := a.push(m, f.nodes...)
	a.arrive(1, f.nodes...)
	took := time.Since(pushed)
	copies := float64(f.fromLink()-before) / modelSize
	t.Logf("%v, the link sent %.2f copies", took.Round(10*time.Millisecond), copies)
	if copies > 1.5 {
		t.Errorf("the link sent %.2f copies", copies)
	}
	for _, node := range f.nodes {
		s := node.status()
		t.Logf("%s: %d peers, gave %.1f MB, took %.1f MB", node.name, s.Swarm.Peers, float64(s.Swarm.Given)/1e6, float64(s.Swarm.Taken)/1e6)
	}
}
