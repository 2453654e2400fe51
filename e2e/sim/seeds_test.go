package sim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/fab/fabtest"
)

var seeds = flag.Int("sim.seeds", 2000, "how many simulations to run")

func TestMain(m *testing.M) {
	// Thousands of crashes must not fill anybody's terminal.
	if os.Getenv("RHIZOME_SIM_SEED") == "" {
		logs.Quiet()
	}
	os.Exit(m.Run())
}

// TestSimulation runs the seeds, a few at a time.
func TestSimulation(t *testing.T) {
	tmpl := makeTemplates(t)
	root := scratch(t)
	if text := os.Getenv("RHIZOME_SIM_SEED"); text != "" {
		var seed uint64
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("RHIZOME_SIM_SEED: %v", err)
		}
		one(t, seed, filepath.Join(root, "one"), tmpl)
		return
	}
	first := uint64(time.Now().UnixNano()) &^ 0xffff
	var total counts
	var mu sync.Mutex
	const workers = 2
	t.Run("seeds", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for i := worker; i < *seeds && !t.Failed(); i += workers {
					dir := filepath.Join(root, fmt.Sprint(i))
					done := one(t, first+uint64(i), dir, tmpl)
					mu.Lock()
					total.add(done)
					mu.Unlock()
					if err := os.RemoveAll(dir); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	})
	t.Logf("%d simulations: %+v", *seeds, total)
	if *seeds >= 100 && !t.Failed() && (total.starts == 0 || total.replies == 0 || total.errors == 0 || total.cancels == 0) {
		t.Errorf("the simulations look at one side only: %+v", total)
	}
}

func one(t *testing.T, seed uint64, dir string, tmpl templates) (done counts) {
	t.Helper()
	defer func() { // this runs even when the bubble ends the test
		if t.Failed() {
			t.Logf("RHIZOME_SIM_SEED=%d gives the same faults", seed)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		// Virtual time begins in 2000, and messages created before Flower existed are refused.
		time.Sleep(time.Until(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)))
		w := newSimulation(t, seed, dir, tmpl)
		w.drive()
		done = w.ledger.counts
	})
	return done
}

// scratch is a folder in memory where the system has one: the tests are about what happens
// after a process crashes, and the file system survives that without any disk.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "rhizome-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (c *counts) add(o counts) {
	c.instructions += o.instructions
	c.starts += o.starts
	c.acks += o.acks
	c.replies += o.replies
	c.errors += o.errors
	c.cancels += o.cancels
}

// templates are empty databases, which spare each simulation from making its tables anew.
type templates struct{ link, node, fab []byte }

func makeTemplates(t *testing.T) templates {
	t.Helper()
	dir := t.TempDir()
	link, err := sqlite.Open(t.Context(), filepath.Join(dir, "link.db"), sqlite.Options{})
	if err == nil {
		err = link.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	node, err := state.Open(t.Context(), filepath.Join(dir, "node.db"), nil)
	if err == nil {
		err = node.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	return templates{link: read("link.db"), node: read("node.db"), fab: fabtest.App(t, "")}
}
