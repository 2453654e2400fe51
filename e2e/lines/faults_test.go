//go:build linux

package lines

import (
	"slices"
	"time"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// path is how a node reaches its link, which is behind a cone NAT.
type path struct {
	name   string
	kind   natlab.Kind
	direct bool
}

var (
	direct  = path{name: "direct", kind: natlab.Cone, direct: true} // QUIC, through a punched hole
	relayed = path{name: "relay", kind: natlab.Symmetric}           // QUIC to the relay
	byTCP   = path{name: "relay by TCP", kind: natlab.UDPBlocked}   // only port 443 gets out
	paths   = []path{direct, relayed, byTCP}
)

// outcome is how a run should end.
type outcome string

const (
	// sameWeights: the weights are those of a run over good lines, and no message failed.
	sameWeights outcome = "same weights"
	// sameSession: in addition, the session of the node stayed the same throughout, since its
	// bytes are signs of life. It is expected only where it is the point: a machine that
	// starves its processes for seconds cuts sessions over any line.
	sameSession outcome = "same weights, same session"
	// toldDead: the ServerApp gets error 5 for the node, asks it again once it is back with
	// the same id, and ends up with the same weights.
	toldDead outcome = "error 5, then same weights"
)

// model is what goes to the nodes and back, and how many times.
type model struct {
	numbers int // of 8 bytes
	rounds  int
}

var (
	usual = model{numbers: 250_000, rounds: 2} // 2 MB: 2 s on the usual line
	// large takes longer than the grace period over a line of 1 Mbit/s: 42 s each way.
	large = model{numbers: 650_000, rounds: 1}
)

// fault is what is wrong with the line of a node.
type fault struct {
	name    string
	outcome outcome
	model   model
	// uplink is the line, if it is not the usual one; lost is what the line loses, from the
	// first packet on.
	uplink *natlab.Link
	lost   map[natlab.Direction]float64
	// strike does what happens in the middle of the run, at that moment.
	at     moment
	strike func(*trial)
}

// usually is the usual line, with a round trip of 40 ms and 8 Mbit/s.
var usually = natlab.Link{Delay: 20 * time.Millisecond, Rate: 8 * megabit, Queue: 64 << 10}

const (
	megabit = 1_000_000 // bits per second
	lossy   = 0.05
	// shortly is longer than a session tolerates silence (15 s), and shorter than the grace
	// period.
	shortly = 20 * time.Second
	// tooLong is longer than that silence and the grace period together.
	tooLong = 60 * time.Second
	// flap is how long a flapping line is up, and how long it is down.
	flap = 10 * time.Second
)

var (
	good      = fault{name: "none", outcome: sameWeights, model: usual}
	goodLarge = fault{name: "none, large model", outcome: sameWeights, model: large}

	lossBoth = fault{name: "loss of 5 %", outcome: sameWeights, model: usual, lost: loses(natlab.BothWays)}
	lossTo   = fault{name: "loss of 5 % to the node", outcome: sameWeights, model: usual, lost: loses(natlab.ToSite)}
	lossFrom = fault{name: "loss of 5 % from the node", outcome: sameWeights, model: usual, lost: loses(natlab.FromSite)}

	far = fault{name: "round trip of 500 ms", outcome: sameWeights, model: usual,
		uplink: &natlab.Link{Delay: 250 * time.Millisecond, Rate: 8 * megabit, Queue: 512 << 10}}
	slow = fault{name: "1 Mbit/s, large model", outcome: sameSession, model: large,
		uplink: &natlab.Link{Delay: 20 * time.Millisecond, Rate: megabit, Queue: 64 << 10}}

	halfOpen = fault{name: "half-open: node dies silently, and starts again", outcome: sameWeights, model: usual,
		at: modelComes, strike: (*trial).dieSilently}
	forgotten = fault{name: "half-open: NAT forgets silently", outcome: sameWeights, model: usual,
		at: modelComes, strike: (*trial).beForgotten}

	holeBoth = fault{name: "nothing for 20 s", outcome: sameWeights, model: usual, at: modelComes, strike: hole(natlab.BothWays, shortly)}
	holeTo   = fault{name: "nothing to the node for 20 s", outcome: sameWeights, model: usual, at: modelComes, strike: hole(natlab.ToSite, shortly)}
	holeFrom = fault{name: "nothing from the node for 20 s", outcome: sameWeights, model: usual, at: replyGoes, strike: hole(natlab.FromSite, shortly)}

	goneBoth = fault{name: "nothing for 60 s", outcome: toldDead, model: usual, at: modelComes, strike: hole(natlab.BothWays, tooLong)}
	goneTo   = fault{name: "nothing to the node for 60 s", outcome: toldDead, model: usual, at: modelComes, strike: hole(natlab.ToSite, tooLong)}
	goneFrom = fault{name: "nothing from the node for 60 s", outcome: toldDead, model: usual, at: replyGoes, strike: hole(natlab.FromSite, tooLong)}

	flapping = fault{name: "10 s up, 10 s down, large model", outcome: sameWeights, model: large, at: modelComes, strike: (*trial).flap,
		uplink: &natlab.Link{Delay: 20 * time.Millisecond, Rate: 4 * megabit, Queue: 64 << 10}}

	// Faults that take about as long are grouped, since they are tried side by side.
	quick  = []fault{good, lossBoth, lossTo, lossFrom, far, halfOpen, forgotten, holeBoth, holeTo, holeFrom}
	long   = []fault{goodLarge, slow, flapping, goneBoth, goneTo, goneFrom}
	faults = slices.Concat(quick, long)
)

func loses(d natlab.Direction) map[natlab.Direction]float64 {
	return map[natlab.Direction]float64{d: lossy}
}

// hole swallows everything in one direction for a while.
func hole(d natlab.Direction, long time.Duration) func(*trial) {
	return func(c *trial) {
		c.must(c.lab.Lose(c.site, d, 1))
		time.Sleep(long) // this is the fault itself, not a wait for something
		c.must(c.lab.Lose(c.site, d, 0))
	}
}

// cell is one fault on one kind of path.
type cell struct {
	fault
	path path
}

func (c cell) key() string { return c.name + "/" + c.path.name }

// cells returns the cells to try, with those of one federation together.
func cells() [][]cell {
	if !everything() {
		return [][]cell{{{holeBoth, relayed}, {lossFrom, direct}, {halfOpen, byTCP}}}
	}
	var all [][]cell
	for _, p := range paths {
		for _, some := range [][]fault{quick, long} {
			var group []cell
			for _, f := range some {
				group = append(group, cell{f, p})
			}
			all = append(all, group)
		}
	}
	return all
}
