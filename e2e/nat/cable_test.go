//go:build linux

package nat

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/p2p/natlab"
)

// venv is the Python environment for apps.
func venv(t *testing.T) string {
	t.Helper()
	path := os.Getenv("RHIZOME_TEST_VENV")
	if path == "" {
		path = filepath.Join("..", "..", ".venv", "flwr-1.41")
	}
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(filepath.Join(path, "bin", "flwr"))
	}
	if err != nil {
		t.Fatalf("no flwr in %s: run \"make venv\", or name an environment with RHIZOME_TEST_VENV", path)
	}
	return path
}

// running is a stock `flwr run --stream` on the link's host.
type running struct {
	out  bytes.Buffer
	done chan error
}

// flwrRun starts the stock command where the link is.
func (w *world) flwrRun(host, venv, app string, config string) *running {
	w.t.Helper()
	home := w.path("flwr-home")
	w.must(os.MkdirAll(home, 0o700))
	text := "[superlink]\ndefault = \"test\"\n\n[superlink.test]\naddress = \"127.0.0.1:8000\"\ninsecure = true\n"
	w.must(os.WriteFile(filepath.Join(home, "config.toml"), []byte(text), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := w.lab.Cmd(ctx, host, filepath.Join(venv, "bin", "flwr"), "run", app, "test", "--stream", "-c", config)
	cmd.Env = append(os.Environ(), "FLWR_HOME="+home, "FLWR_TELEMETRY_ENABLED=0", "FLWR_DISABLE_UPDATE_CHECK=1", "COLUMNS=250", "NO_COLOR=1")
	r := &running{done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &r.out, &r.out, time.Second
	w.must(cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); r.done <- cmd.Wait() }()
	w.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return r
}

// await waits for the end of the run and gives what was printed.
func (r *running) await(t *testing.T, limit time.Duration) string {
	t.Helper()
	select {
	case err := <-r.done:
		if err != nil {
			t.Fatalf("flwr run: %v\n%s", err, r.out.String())
		}
	case <-time.After(limit):
		t.Fatalf("flwr run does not end within %v", limit)
	}
	return r.out.String()
}

const (
	megabyte = 1_000_000
	megabit  = 1_000_000 // a second
	// chunk is what one stream of the exchange carries, and so what may be lost with it.
	chunk = 16 << 20
	// overhead of framing on a model's bytes, and what else a run sends.
	overhead = 2 * megabyte
)

// The cable is pulled in the middle of a model's way to a node with a direct path and to
// one behind a relay. Both have all of it in the end, and no more than a chunk twice.
func TestPullTheCableInATransfer(t *testing.T) {
	python := venv(t)
	size, dark := 24, 20*time.Second // longer than a session waits for a sign of life
	if recording() {
		size, dark = 200, time.Minute
	}
	app := []string{"--isolation", "subprocess", "--python", python}
	uplink := natlab.Link{Delay: rtt / 2, Rate: 40 * megabit, Queue: 1 << 20}
	f := newField(t, 1, uplink, append(app, "--grace", "5m"), app)
	bulk, err := filepath.Abs(filepath.Join("testdata", "bulk"))
	f.must(err)
	nodes := []*daemon{f.direct, f.relayed}
	before := make([]int64, len(nodes))
	for i, node := range nodes {
		before[i] = f.sent(node)
	}
	run := f.flwrRun("home", python, bulk, fmt.Sprintf("nodes=2 megabytes=%d", size))
	came := make([]int64, len(nodes))
	f.eventually("a third of the model has come to both", 2*time.Minute, func() bool {
		for i, node := range nodes {
			if came[i] > 0 {
				continue // and cut
			}
			if n := node.received(); n > int64(size)*megabyte/3 {
				f.must(f.lab.Cut(node.host))
				came[i] = n
			}
		}
		return came[0] > 0 && came[1] > 0
	})
	time.Sleep(dark) // this is the test, and not a wait for something
	for _, node := range nodes {
		f.must(f.lab.Restore(node.host))
	}
	back := time.Now()
	longest := f.awaitAlive(fmt.Sprintf("the cable was out for %v", dark), f.link, back, nodes...)
	output := run.await(t, 5*time.Minute)
	if !strings.Contains(output, "bulk: 2 of 2 nodes have the model") {
		t.Fatalf("the run ended otherwise:\n%s", tail(output, 40))
	}
	table := "| path | model | came before the cut | out for | session back after | sent in all |\n|---|---|---|---|---|---|\n"
	for i, node := range nodes {
		sent := f.sent(node) - before[i]
		t.Logf("%s: %.1f MB were sent for a model of %d MB, %.1f MB had come before the cut",
			node.name, float64(sent)/megabyte, size, float64(came[i])/megabyte)
		table += fmt.Sprintf("| %s | %d MB | %.1f MB | %v | %s | %.1f MB |\n", []string{"direct", "through a relay"}[i], size,
			float64(came[i])/megabyte, dark, millis(longest), float64(sent)/megabyte)
		if most := int64(size)*megabyte + chunk + overhead; sent > most {
			t.Errorf("%s: %d bytes were sent for a model of %d MB: more than a chunk twice", node.name, sent, size)
		}
	}
	f.eventually("the clinic has its direct path again", directLimit, func() bool { return f.direct.direct() != nil })
	record(t, "cable", table)
}

// received is how many bytes a node got from its link since it started.
func (d *daemon) received() int64 {
	if path := d.asNode().Link.Path; path != nil {
		return path.BytesIn
	}
	return 0
}

// sent is how many bytes the link has sent to a node since it started; 0 without a path.
func (f *field) sent(node *daemon) int64 {
	for _, n := range f.link.asLink().Nodes {
		if n.Name == node.name && n.Path != nil {
			return n.Path.BytesOut
		}
	}
	return 0
}
