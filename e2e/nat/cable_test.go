//go:build linux

package nat

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

const (
	megabyte = 1_000_000
	megabit  = 1_000_000 // bits per second
	// chunk is what one stream of the exchange carries, and so the most that can be lost with
	// it.
	chunk = 16 << 20
	// overhead allows for the framing of a model's bytes, and for whatever else a run sends.
	overhead = 2 * megabyte
)

// interruption is what happens to a node in the middle of a transfer, and how it ends.
type interruption struct {
	name       string // as in the table
	reply      bool   // the node's answer is under way, rather than the model to it
	begin, end func(f *field, node *daemon)
}

var (
	pulled   = func(f *field, node *daemon) { f.must(f.lab.Cut(node.host)) }
	restored = func(f *field, node *daemon) { f.must(f.lab.Restore(node.host)) }
)

var interruptions = []interruption{
	{name: "the cable is pulled", begin: pulled, end: restored},
	{name: "the cable is pulled", reply: true, begin: pulled, end: restored},
	{name: "the laptop sleeps", begin: (*field).sleep, end: (*field).awake},
}

// A node with a direct path and one behind a relay are cut off while a model is in transit,
// in either direction. All of it arrives in the end, and no more than a chunk is sent twice.
func TestInterruptedTransfers(t *testing.T) {
	beside(t)
	const head = "| under way | what happens | path | size | came before | for | session back after | sent in all |\n|---|---|---|---|---|---|---|---|\n"
	rows := make([]string, len(interruptions))
	t.Run("all", func(t *testing.T) {
		for i, cut := range interruptions {
			t.Run(fmt.Sprintf("%s,reply=%v", cut.name, cut.reply), func(t *testing.T) {
				beside(t)
				rows[i] = cut.happens(t)
			})
		}
	})
	if !t.Failed() {
		record(t, "transfers", head+strings.Join(rows, ""))
	}
}

// happens interrupts both nodes, and returns their rows of the table.
func (cut interruption) happens(t *testing.T) (rows string) {
	python := venv(t)
	size, lasts := 24, 20*time.Second // longer than a session waits for a sign of life
	if recording() {
		size, lasts = 200, time.Minute
	}
	app := []string{"--isolation", "subprocess", "--python", python}
	uplink := natlab.Link{Delay: rtt / 2, Rate: 40 * megabit, Queue: 1 << 20}
	f := newField(t, 1, uplink, append(app, "--grace", "5m"), app)
	bulk, err := filepath.Abs(filepath.Join("testdata", "bulk"))
	f.must(err)
	nodes := []*daemon{f.direct, f.relayed}
	ids := f.nodeIDs()
	before := [2]int64{f.sent(cut.reply, f.direct), f.sent(cut.reply, f.relayed)}
	run := f.flwrRun("home", python, bulk, fmt.Sprintf("nodes=2 megabytes=%d reply=%v", size, cut.reply))
	came := f.interrupt(cut, int64(size)*megabyte/3)
	time.Sleep(lasts) // this is the test itself, not a wait for something
	f.awaitAway(nodes...)
	for _, node := range nodes {
		cut.end(f, node)
	}
	back := time.Now()
	took := f.awaitAlive(fmt.Sprintf("%s for %v", cut.name, lasts), f.link, back, nodes...)
	if output := run.await(t, 5*time.Minute); !strings.Contains(output, "bulk: 2 of 2 models arrived") {
		t.Fatalf("the run ended otherwise:\n%s", tail(output, 40))
	}
	for i, node := range nodes {
		sent := f.sent(cut.reply, node) - before[i]
		if model := int64(size) * megabyte; sent < model || sent > model+chunk+overhead {
			t.Errorf("%s: %d bytes were sent of a model of %d MB: less than all, or more than a chunk twice", node.name, sent, size)
		}
		rows += fmt.Sprintf("| %s | %s | %s | %d MB | %.1f MB | %v | %s | %.1f MB |\n",
			map[bool]string{false: "model to the node", true: "reply"}[cut.reply], cut.name, []string{"direct", "through a relay"}[i],
			size, float64(came[i])/megabyte, lasts, millis(took[i]), float64(sent)/megabyte)
	}
	t.Logf("rows:\n%s", rows)
	f.keepTheir(ids)
	f.awaitDirect()
	return rows
}

// interrupt waits until part of the model has come from or to each node, interrupts that
// node, and returns how much had come by then.
func (f *field) interrupt(cut interruption, part int64) (came [2]int64) {
	f.t.Helper()
	f.eventually("a part of the model has come", 2*time.Minute, func() bool {
		for i, node := range []*daemon{f.direct, f.relayed} {
			if came[i] > 0 {
				continue // it can no longer be asked
			}
			if n := f.came(cut.reply, node); n > part {
				cut.begin(f, node)
				came[i] = n
			}
		}
		return came[0] > 0 && came[1] > 0
	})
	return came
}

// came is how many bytes have arrived since the start: at the link for a reply, otherwise at
// the node.
func (f *field) came(reply bool, node *daemon) int64 {
	path := f.link.asLink().node(node.name).Path
	if !reply {
		path = node.asNode().Link.Path
	}
	if path == nil {
		return 0
	}
	return path.BytesIn
}

// sent is how many bytes have been sent since the start, according to the link, which sends a
// model and receives a reply. It is 0 without a path.
func (f *field) sent(reply bool, node *daemon) int64 {
	path := f.link.asLink().node(node.name).Path
	switch {
	case path == nil:
		return 0
	case reply:
		return path.BytesIn
	}
	return path.BytesOut
}
