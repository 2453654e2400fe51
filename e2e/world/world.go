package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// These limits of the harness bound what hangs; what a test promises is measured separately.
const (
	StartLimit = 60 * time.Second // of a daemon, with cold Python on a busy machine
	StopLimit  = 20 * time.Second // of a daemon that was asked to end
	RunLimit   = 6 * time.Minute  // of one flwr command; a stock federation takes 70 s on a quiet machine
)

var binary struct {
	once sync.Once
	path string
	err  error
}

// Main is for TestMain: it runs the tests, removes the binary that was built for them, and
// returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if binary.path != "" {
		_ = os.RemoveAll(filepath.Dir(binary.path))
	}
	return code
}

// Binary is the path of the rhizome binary, which is built once for all tests.
func Binary(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "rhizome-e2e-")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "rhizome")
		build := exec.Command("go", "build", "-o", binary.path, "./cmd/rhizome")
		build.Dir = checkout(t)
		build.Env = append([]string{"CGO_ENABLED=0"}, os.Environ()...) // unless it is already set, as in race.sh
		if out, err := build.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("build the binary: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// checkout returns the folder of the source tree.
func checkout(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			err = errors.New("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}

// venv returns the Python environment for the tests.
func venv(t testing.TB) string {
	t.Helper()
	path := os.Getenv("RHIZOME_TEST_VENV")
	if path == "" {
		path = filepath.Join(checkout(t), ".venv", "flwr-1.41")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "bin", "flwr")); err != nil {
		t.Fatalf("no flwr in %s: run \"make venv\", or name an environment with RHIZOME_TEST_VENV", path)
	}
	return path
}

// World is what one test runs: daemons with their folders, and a FLWR_HOME for flwr. Its
// methods fail the test when something goes wrong, and must be called from the goroutine of
// the test.
type World struct {
	t    testing.TB
	dir  string
	mark string // it is in the environment of all processes of this world
	venv string

	daemons []*Daemon
	probes  int // number of copies of the test app made so far
}

// New makes an empty world. At the end of the test it stops whatever is still running, and
// fails the test if a process is left.
func New(t testing.TB) *World {
	t.Helper()
	return newWorld(t, venv(t))
}

// NewOf is New with another version of Flower, such as "1.40", for all Python processes. Its
// environment lies next to the usual one; without it the test is skipped.
func NewOf(t testing.TB, version string) *World {
	t.Helper()
	path := filepath.Join(filepath.Dir(venv(t)), "flwr-"+version)
	if _, err := os.Stat(filepath.Join(path, "ready")); err != nil {
		t.Skipf("no flwr %s in %s: run \"make venvs\"", version, path)
	}
	return newWorld(t, path)
}

// NewIn is New with the test's own Python environment.
func NewIn(t testing.TB, venv string) *World {
	t.Helper()
	return newWorld(t, venv)
}

func newWorld(t testing.TB, venv string) *World {
	t.Helper()
	w := &World{t: t, dir: t.TempDir(), venv: venv}
	w.mark = "RHIZOME_E2E_WORLD=" + w.dir
	t.Cleanup(func() {
		for _, d := range slices.Backward(w.daemons) {
			d.Stop()
		}
		w.checkNoOrphans()
		if t.Failed() {
			for _, d := range w.daemons {
				t.Logf("--- output of %s ---\n%s", d.Name, Tail(d.Output(), 60))
			}
		}
	})
	return w
}

// Venv is the Python environment of the world.
func (w *World) Venv() string { return w.venv }

// For makes t the test that fails if something goes wrong from now on. Use it when subtests
// share a world: give it each subtest, and then the test that made the world again.
func (w *World) For(t testing.TB) { w.t = t }

// Path is the path of something in the folder of the world.
func (w *World) Path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// Env is the environment of the world's processes. Only the flwr command gets the world's
// FLWR_HOME; our daemons use their own, as they do for a user.
func (w *World) Env(extra ...string) []string {
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "FLWR_") && !strings.HasPrefix(pair, "PATH=") {
			env = append(env, pair)
		}
	}
	return append(append(env,
		w.mark,
		"PATH="+filepath.Join(w.venv, "bin")+":"+os.Getenv("PATH"),
		"FLWR_TELEMETRY_ENABLED=0", "FLWR_DISABLE_UPDATE_CHECK=1",
		// On two cores, a thread pool for each of many small processes only costs time.
		"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1",
	), extra...)
}

// Free ports are sought below the range that the kernel uses for outgoing connections, which
// could otherwise take a port before the daemon it is meant for has started.
const (
	firstPort = 15000
	ports     = 15000
)

// portsGiven is how many ports were given out; it keeps two worlds of a process from getting
// the same one.
var portsGiven atomic.Uint32

// FreePort finds a port that nobody listens on.
func (w *World) FreePort() int {
	w.t.Helper()
	for range ports {
		// Another process starts its search elsewhere.
		port := firstPort + (os.Getpid()*101+int(portsGiven.Add(1)))%ports
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			listener.Close()
			return port
		}
	}
	w.t.Fatal("all ports are taken")
	return 0
}

// FreeAddress is a loopback address with a free port.
func (w *World) FreeAddress() string { return "127.0.0.1:" + strconv.Itoa(w.FreePort()) }

// Eventually waits for a condition that nobody can notify us about.
func (w *World) Eventually(what string, limit time.Duration, holds func() bool) {
	w.t.Helper()
	Eventually(w.t, what, limit, 20*time.Millisecond, holds)
}

// Eventually checks repeatedly, with pauses, until a condition holds, and ends the test if it
// never does.
func Eventually(t testing.TB, what string, limit, pause time.Duration, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Fatalf("not within %v: %s", limit, what)
			}
			return
		}
	}
}

// Tail returns the last lines of a text.
func Tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
