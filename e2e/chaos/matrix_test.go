package chaos

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

const (
	matrixNodes = 2
	// relayRate makes the transfer of bigModel take about half a second, long enough to be seen.
	relayRate = 8 << 20
	// bigModel and smallModel count numbers of 8 bytes.
	bigModel   = 512 << 10
	smallModel = 4 << 10
	// promptly bounds steps that nothing disturbs.
	promptly = time.Minute
)

// TestFaultMatrix kills every process at every moment of a run. `make test` tries one cell for
// each moment, chosen by the seed.
func TestFaultMatrix(t *testing.T) {
	m := &matrix{federation: newFederation(t, matrixNodes, "--peer-rate", fmt.Sprint(relayRate)), want: make(map[int]string)}
	dice := dice(t)
	for _, moment := range moments {
		cells := cellsOf(moment)
		if !everything() {
			cells = sample(dice, cells)
		}
		for _, cell := range cells {
			ok := t.Run(moment.name+"/"+cell.process, func(t *testing.T) {
				m.use(t)
				m.try(cell)
			})
			m.use(t)
			if !ok {
				return // the federation may be in any state
			}
		}
	}
}

// sample picks one cell. Cells that wait for a time-out of half a minute take too long.
func sample(dice *rand.Rand, cells []cell) []cell {
	var quick []cell
	for _, c := range cells {
		if !c.slow {
			quick = append(quick, c)
		}
	}
	return []cell{quick[dice.IntN(len(quick))]}
}

// matrix is a federation on which one cell after another is tried.
type matrix struct {
	*federation
	tries int
	want  map[int]string // digest of the weights of an undisturbed run, by model size
}

// use makes t the test that fails from now on.
func (m *matrix) use(t *testing.T) {
	m.t = t
	m.For(t)
}

// try goes through the second of two rounds up to the moment, kills the process, and checks
// what becomes of the run.
func (m *matrix) try(c cell) {
	m.t.Helper()
	m.tries++
	size := smallModel
	if c.moment.big {
		size = bigModel
	}
	settings := []string{"rounds=2", fmt.Sprintf("nodes=%d", matrixNodes), fmt.Sprintf("size=%d", size), "work=0.0"}
	if m.want[size] == "" {
		m.want[size] = m.train(fmt.Sprintf("undisturbed-%d", size), settings...)
	}
	m.app = newSteady(m.t, m.World, fmt.Sprintf("cell-%d", m.tries))
	m.app.hold("round-2")
	m.runID = m.flwr.Submit(m.app.app(), "-c", m.app.config(settings...))
	m.app.await("held-round-2", promptly)
	resume := c.moment.reach(m.federation)
	m.strike(c.process)
	resume()

	end := m.awaitEnd(m.runID, recovery)
	c.outcome.check(m, end.Status, end.Details, m.want[size])
	m.checkNothingIsLeft()
}

// strike kills the process of a cell, and starts it again if it is a daemon.
func (m *matrix) strike(process string) {
	m.t.Helper()
	first := m.nodes[0]
	switch process {
	case procLink:
		m.bounce(m.link)
	case procNode:
		m.bounce(first)
	case procRelay:
		m.bounce(m.relay)
	case procLinkExec:
		world.Kill(m.t, m.superExec(m.link))
	case procNodeExec:
		world.Kill(m.t, m.superExec(first))
	case procServerApp:
		m.killApp(m.link)
	case procClientApp:
		m.killApp(first)
	}
}

func (m *matrix) bounce(d *world.Daemon) {
	m.t.Helper()
	d.Kill()
	d.Launch()
}

func (m *matrix) killApp(host *world.Daemon) {
	m.t.Helper()
	pids := m.apps(host)
	if len(pids) != 1 {
		m.t.Fatalf("%s has app processes %v, want one", host.Name, pids)
	}
	world.Kill(m.t, pids[0])
}

// freeze stops processes without ending them, and returns a function that lets them go on. A
// process that has been killed meanwhile is left alone.
func (f *federation) freeze(pids ...int) (resume func()) {
	f.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			f.t.Fatalf("stop process %d: %v", pid, err)
		}
	}
	return func() {
		for _, pid := range pids {
			if f.ours(pid) != 0 {
				_ = syscall.Kill(pid, syscall.SIGCONT)
			}
		}
	}
}

// reachOffer stops the line, then lets the ServerApp ask: the link has messages that no node
// has heard of.
func reachOffer(f *federation) (resume func()) {
	f.t.Helper()
	resume = f.freeze(f.relay.PID())
	f.app.release("round-2")
	f.Eventually("messages that no node has heard of", promptly, func() bool {
		status, ok := f.status()
		owed := 0
		for _, run := range status.Runs {
			for _, node := range run.WaitingFor {
				owed += node.Messages
			}
		}
		return ok && owed == matrixNodes
	})
	return resume
}

// reachObjectsIn waits until a node, or the link, has received part of what the other sends.
func reachObjectsIn(receiver string) func(*federation) func() {
	return func(f *federation) func() {
		f.t.Helper()
		f.app.release("round-2")
		f.Eventually("objects on their way to "+receiver, promptly, func() bool {
			partial, err := filepath.Glob(f.Path(receiver, "objects", "partial", "*"))
			if err != nil {
				f.t.Fatal(err)
			}
			return len(partial) > 0
		})
		return func() {}
	}
}

// reachAccepted stops the node's SuperExec, so that messages which arrive wait on the node's disk.
func reachAccepted(f *federation) (resume func()) {
	f.t.Helper()
	resume = f.freeze(f.superExec(f.nodes[0]))
	f.app.release("round-2")
	f.Eventually("a message on the node's disk", promptly, func() bool {
		status, ok := f.nodeStatus(f.nodes[0])
		return ok && len(status.Runs) == 1 && status.Runs[0].Queued+status.Runs[0].Working == 1
	})
	if f.app.count("train-2-0") > 0 {
		f.t.Fatal("the app runs although its SuperExec is stopped")
	}
	return resume
}

func reachRunning(f *federation) (resume func()) {
	f.t.Helper()
	f.app.hold("train-0")
	f.app.release("round-2")
	f.app.await("held-train-0", promptly)
	return func() { f.app.release("train-0") }
}

func reachBetween(f *federation) (resume func()) {
	return func() { f.app.release("round-2") }
}

func reachFinish(f *federation) (resume func()) {
	f.t.Helper()
	f.app.hold("finish")
	f.app.release("round-2")
	f.app.await("held-finish", promptly)
	return func() { f.app.release("finish") }
}

// check compares what became of a run with what should have.
func (o outcome) check(m *matrix, status, details, want string) {
	m.t.Helper()
	trained, crashed := m.app.count("train-2-0"), m.app.count("crashed")
	switch o {
	case sameWeights:
		if status != "finished:completed" || m.app.result() != want {
			m.t.Errorf("the run is %s (%s) with weights %s, want %s", status, details, m.app.result(), want)
		}
		// Work that was under way is taken up again, not redone.
		if trained != 1 || crashed != 0 {
			m.t.Errorf("the node trained %d times and %d messages failed; want once and none", trained, crashed)
		}
	case askedAgain:
		if status != "finished:completed" || m.app.result() != want {
			m.t.Errorf("the run is %s (%s) with weights %s, want %s", status, details, m.app.result(), want)
		}
		if trained != 2 || crashed != 1 {
			m.t.Errorf("the node trained %d times and %d messages failed; want twice and one", trained, crashed)
		}
	case runFails:
		if status != "finished:failed" || !strings.Contains(details, "SIGKILL") {
			m.t.Errorf("the run is %s (%s), want finished:failed with the signal", status, details)
		}
	}
}
