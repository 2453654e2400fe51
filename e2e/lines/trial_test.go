//go:build linux

package lines

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/internal/natlab"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// trial is a run over a line with a fault.
type trial struct {
	*field
	cell
	t    *testing.T
	w    *world.World // of the node and the run
	site string       // also the name of the node
	node *world.Daemon
	run  *run
}

// result is what the documentation shows of a trial.
type result struct {
	took time.Duration // by the run
	told time.Duration // until the ServerApp heard of the node's death; 0: it did not
}

// try goes through one cell.
func (f *field) try(t *testing.T, c cell, site string) result {
	t.Helper()
	x := &trial{field: f, cell: c, t: t, w: world.New(t), site: site}
	for d, p := range c.lost {
		x.must(f.lab.Lose(site, d, p))
	}
	x.node = f.node(x.w, site, 1)
	before := f.awaitNode(t, site, c.path.direct)

	x.run = f.submit(x.w, "run", c.model, f.good[0], before.ID)
	var struck time.Time
	if c.strike != nil {
		x.reach(c.at)
		struck = time.Now()
		c.strike(x)
	}
	weights, took := f.await(t, x.run)

	after := f.sees(t, site)
	if want, _ := f.await(t, f.runs[c.model]); weights != want {
		t.Errorf("the weights are %s, over good lines %s", weights, want)
	}
	if after.ID != before.ID {
		t.Errorf("node %d came back as %d", before.ID, after.ID)
	}
	if c.outcome == sameSession && (after.Session == nil || !after.Session.Equal(*before.Session)) {
		t.Errorf("the session is of %v, and was of %v before the run: the node was taken for dead", after.Session, before.Session)
	}
	return result{took: took, told: x.checkErrors(struck)}
}

// moment is a point in a run.
type moment struct {
	name  string
	bytes func(in, out int64) int64
}

var (
	modelComes = moment{"the model is on its way to the node", func(in, _ int64) int64 { return in }}
	replyGoes  = moment{"the reply is on its way to the link", func(_, out int64) int64 { return out }}
)

// someBytes in transit are more than all the messages around a model.
const someBytes = 256 << 10

// reach waits until part of the model has passed over the line.
func (x *trial) reach(m moment) {
	x.t.Helper()
	first := int64(-1)
	world.Eventually(x.t, m.name, runLimit, look, func() bool {
		s, ok := askNode(x.w, x.site)
		if !ok || s.Link.Path == nil {
			return false
		}
		bytes := m.bytes(s.Link.Path.BytesIn, s.Link.Path.BytesOut)
		if first < 0 {
			first = bytes
		}
		if x.run.Ended() {
			x.t.Fatalf("the run ended before %s:\n%s", m.name, world.Tail(x.run.Output(), 20))
		}
		return bytes >= first+someBytes
	})
}

var errorLine = regexp.MustCompile(`(?m)error (\d+) at ([0-9.]+): (.*)$`)

// checkErrors expects the errors that the ServerApp should have got, and returns how long
// after the fault the first one came.
func (x *trial) checkErrors(struck time.Time) (told time.Duration) {
	x.t.Helper()
	errors := errorLine.FindAllStringSubmatch(x.run.Output(), -1)
	if x.outcome != toldDead {
		for _, e := range errors {
			x.t.Errorf("the ServerApp got an error: %s", e[0])
		}
		return 0
	}
	if len(errors) != 1 {
		x.t.Errorf("the ServerApp got %d errors, want one: %q", len(errors), errors)
		return 0
	}
	e := errors[0]
	if e[1] != fmt.Sprint(flwr.ErrorNodeUnavailable) || !strings.Contains(e[3], "Node Unavailable") {
		x.t.Errorf("the error is %q, want the one of a node that is away, with the reason", e[0])
	}
	seconds, err := strconv.ParseFloat(e[2], 64)
	x.must(err)
	return time.UnixMicro(int64(seconds * 1e6)).Sub(struck)
}

// dieSilently makes a node vanish with all its state, without a word to its peers, and starts
// it again at once. The peers believe that the old connections are still alive.
func (x *trial) dieSilently() {
	x.must(x.lab.Forget(x.site)) // holds back what the kernel says for the dead node
	x.node.Kill()
	x.node.Launch()
}

// beForgotten makes the node's NAT drop its connections without a word: the node believes
// that they are still alive, and so do its peers.
func (x *trial) beForgotten() { x.must(x.lab.Forget(x.site)) }

// flap takes the line down and up again, over and over, until the run has ended.
func (x *trial) flap() {
	for first := time.Now(); !x.run.Ended() && time.Since(first) < runLimit; {
		x.must(x.lab.Lose(x.site, natlab.BothWays, 1))
		time.Sleep(flap) // this is the fault itself, not a wait for something
		x.must(x.lab.Lose(x.site, natlab.BothWays, 0))
		for up := time.Now(); time.Since(up) < flap && !x.run.Ended(); {
			<-time.After(look)
		}
	}
}

// must checks steps that no test is about.
func (x *trial) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}
