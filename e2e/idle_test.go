package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

const (
	// idleWatch is how long idle processes are watched: four heartbeats of the sessions.
	idleWatch = 20 * time.Second
	// idleWindow is the resolution of the watch. A Go process wakes in a burst: the thread
	// that waited for the network, a worker, and the runtime's own thread switch a dozen
	// times within a few milliseconds. The test therefore counts the windows in which the
	// process did anything after one in which it did nothing.
	idleWindow = 100 * time.Millisecond
	// idleWakes is the number of wakes that was promised.
	idleWakes = int(idleWatch / time.Second)
	// idleActive bounds the windows in which a process did anything: without it, a process
	// that never comes to rest would count as one wake. On a busy machine a burst reaches
	// into a second window.
	idleActive = 2 * idleWakes
)

func TestIdleProcessesWakeAtMostOnceASecond(t *testing.T) {
	w := world.New(t)
	_, relay := w.Relay()
	_, link := w.LinkListening("none", "--relay", relay)
	w.Nodes(2)
	f := w.Flwr(link)
	p := w.Probe("ok") // everything has been used then, and the fork servers have loaded the app
	f.Run("run", p.Dir, "test", "--stream", "-c", p.Config("min-nodes=2"))

	var last map[int]idle
	w.Eventually("all processes are idle, as long as they are watched", world.RunLimit, func() bool {
		last = watchIdle(t, w)
		for _, one := range last {
			if one.wakes > idleWakes || one.active > idleActive {
				t.Logf("not idle yet: %s", one)
				return false
			}
		}
		return true
	})
	kinds := map[string]int{}
	for _, one := range last {
		t.Log(one)
		for _, kind := range []string{"relay", "link", "node", "exec", "forkserver.py"} {
			if regexp.MustCompile(`[ /]` + regexp.QuoteMeta(kind) + ` `).MatchString(one.args) {
				kinds[kind]++
				break
			}
		}
	}
	for kind, want := range map[string]int{"relay": 1, "link": 1, "node": 2, "exec": 3, "forkserver.py": 3} {
		if kinds[kind] < want {
			t.Errorf("%d processes of the kind %q were watched, want %d", kinds[kind], kind, want)
		}
	}
}

// idle is what an idle process did while it was being watched.
type idle struct {
	args          string
	wakes, active int
}

func (i idle) String() string {
	return fmt.Sprintf("%d wakes, active in %d of %d windows: %.80s", i.wakes, i.active, int(idleWatch/idleWindow), i.args)
}

// watchIdle watches all processes of the world for idleWatch.
func watchIdle(t *testing.T, w *world.World) map[int]idle {
	t.Helper()
	seen := map[int]idle{}
	before, awake := map[int]int64{}, map[int]bool{}
	for _, proc := range w.Processes() {
		seen[proc.PID], before[proc.PID] = idle{args: proc.Args}, switches(t, proc.PID)
	}
	ticker := time.NewTicker(idleWindow)
	defer ticker.Stop()
	for range int(idleWatch / idleWindow) {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.FailNow()
		}
		for pid, one := range seen {
			now := switches(t, pid)
			if now != before[pid] {
				one.active++
				if !awake[pid] {
					one.wakes++
				}
			}
			awake[pid] = now != before[pid]
			before[pid], seen[pid] = now, one
		}
	}
	return seen
}

var contextSwitches = regexp.MustCompile(`ctxt_switches:\s+(\d+)`)

// switches is how often the threads of a process were switched to or from.
func switches(t *testing.T, pid int) (sum int64) {
	t.Helper()
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "status"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the thread has ended
		}
		for _, match := range contextSwitches.FindAllSubmatch(text, -1) {
			n, err := strconv.ParseInt(string(match[1]), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
