//go:build long

package scale

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

const (
	// fleets is the number of processes with imitated nodes; a garbage collection in a single
	// process with thousands of hosts would hold up all of them.
	fleets = 2
	// ramp is how many nodes start per second, in all: a join is two TLS handshakes on both
	// sides, and link and nodes share this machine.
	ramp = 24
	// joinLimit is how long the slowest node may take to join after all have started.
	joinLimit = 5 * time.Minute
	// watched is how long idle sessions are watched; beats come every 5 s.
	watched = time.Minute
)

func TestMain(m *testing.M) { os.Exit(world.Main(m)) }

// TestTenThousandSessions measures what sessions cost the link when nothing happens: processor
// time, and memory compared with that of as many connections without a session. The figures
// are for docs/performance.md.
func TestTenThousandSessions(t *testing.T) {
	m := newMeasured(t)
	bare := m.with(2000, true)
	few := m.with(2000, false)
	many := m.with(10_000, false)
	t.Logf("| nodes | sessions | CPU of the link, cores | RSS, MB | heap and stacks, kB a node | goroutines a node |")
	for _, r := range []reading{bare, few, many} {
		t.Log(m.row(r))
	}
	t.Logf("a session costs %.1f kB more than a connection", float64(few.live-bare.live)/2000/1000)
}

// measured is a link that is being measured.
type measured struct {
	t        *testing.T
	w        *world.World
	link     *world.Daemon
	profiles string
	fakenode string
	ticket   string
	idle     reading
	fleets   int
}

// reading is what the link uses with a number of nodes.
type reading struct {
	nodes      int
	bare       bool
	cores      float64
	rss        int
	live       int // heap and stacks after a collection, in bytes
	goroutines int
}

func newMeasured(t *testing.T) *measured {
	t.Helper()
	m := &measured{t: t, w: world.New(t)}
	m.profiles = m.w.FreeAddress()
	m.link, _ = m.w.Link("--isolation", "process", "--max-nodes", "16000", "--pprof", m.profiles)
	m.ticket = m.w.Path("fleet.ticket")
	m.must(os.WriteFile(m.ticket, []byte(m.w.Ticket("--uses", "0")), 0o600))
	m.fakenode = m.w.Path("fakenode")
	build := exec.Command("go", "build", "-o", m.fakenode, "github.com/rhizome-fl/rhizome/examples/bench/fakenode")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build fakenode: %v\n%s", err, out)
	}
	m.idle = m.read(0)
	return m
}

// with starts this many nodes, measures the link, and stops them.
func (m *measured) with(nodes int, bare bool) reading {
	m.t.Helper()
	var running []*world.Daemon
	for range fleets {
		m.fleets++
		args := []string{
			"session", "-join", "@" + m.ticket, "-n", fmt.Sprint(nodes / fleets),
			"-ramp", fmt.Sprint(ramp / fleets), "-report", "5s", "-duration", "2h",
		}
		if bare {
			args = append(args, "-no-session")
		}
		// Nodes and link share the machine: there is enough memory for 10,000 hosts, but not enough
		// time to collect their garbage.
		lazy := []string{"GOGC=off", "GOMEMLIMIT=8GiB"}
		running = append(running, m.w.Start(fmt.Sprint("fleet", m.fleets), `"kind":"interval"`, lazy, m.fakenode, args...))
	}
	began := time.Now()
	limit := time.Duration(nodes/ramp)*time.Second + joinLimit
	world.Eventually(m.t, fmt.Sprint(nodes, " nodes are online"), limit, time.Second, func() bool {
		online := 0
		for _, fleet := range running {
			online += m.online(fleet)
		}
		return online == nodes
	})
	m.t.Logf("%d nodes were online after %v", nodes, time.Since(began).Round(time.Second))
	r := m.read(nodes)
	r.bare = bare
	before := m.cpu()
	<-time.After(watched) // this is the measurement
	r.cores = (m.cpu() - before).Seconds() / watched.Seconds()
	m.t.Log(m.row(r)) // now, in case the test does not get any further
	for _, fleet := range running {
		if got := m.online(fleet); got != nodes/fleets {
			m.t.Errorf("%s has %d of %d nodes online after a minute", fleet.Name, got, nodes/fleets)
		}
		fleet.Stop()
	}
	return r
}

// online is what a fleet reported last.
func (m *measured) online(fleet *world.Daemon) int {
	m.t.Helper()
	lines := strings.Split(strings.TrimSpace(fleet.Output()), "\n")
	var report struct {
		Online int            `json:"online"`
		Errors map[string]int `json:"errors"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &report); err != nil {
		return 0 // the line is not complete
	}
	if len(report.Errors) > 0 {
		m.t.Logf("%s: %v", fleet.Name, report.Errors)
	}
	return report.Online
}

var memStat = regexp.MustCompile(`(?m)^# (HeapInuse|Stack) = (\d+)`)

func (m *measured) read(nodes int) reading {
	m.t.Helper()
	use := world.UsageOf(m.t, m.link.PID(), m.profiles)
	res, err := http.Get("http://" + m.profiles + "/debug/pprof/heap?gc=1&debug=1")
	m.must(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	m.must(err)
	r := reading{nodes: nodes, rss: use.RSS, goroutines: use.Goroutines}
	found := memStat.FindAllStringSubmatch(string(text), -1)
	if len(found) != 2 {
		m.t.Fatalf("the profile tells %d of heap and stacks", len(found))
	}
	for _, f := range found {
		n, err := strconv.Atoi(f[2])
		m.must(err)
		r.live += n
	}
	return r
}

// cpu returns the processor time that the link has used.
func (m *measured) cpu() time.Duration {
	m.t.Helper()
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	stat, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(m.link.PID()), "stat"))
	m.must(err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	m.must(err)
	system, err := strconv.Atoi(fields[12])
	m.must(err)
	return time.Duration(user+system) * tick
}

// row is a line of the table.
func (m *measured) row(r reading) string {
	return fmt.Sprintf("| %d | %v | %.3f | %d | %.1f | %.1f |", r.nodes, !r.bare, r.cores, r.rss>>20,
		float64(r.live-m.idle.live)/float64(r.nodes)/1000, float64(r.goroutines-m.idle.goroutines)/float64(r.nodes))
}

func (m *measured) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}
