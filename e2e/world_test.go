package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Limits of the harness. They bound what hangs; what a test promises is measured apart.
const (
	startLimit = 60 * time.Second  // of a daemon, with cold Python on a busy machine
	stopLimit  = 20 * time.Second  // of a daemon that was asked to end
	runLimit   = 180 * time.Second // of one flwr command
)

var binary struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.path != "" {
		_ = os.RemoveAll(filepath.Dir(binary.path))
	}
	os.Exit(code)
}

// rhizomeBinary builds the binary once for all tests.
func rhizomeBinary(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "rhizome-e2e-")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "rhizome")
		build := exec.Command("go", "build", "-o", binary.path, "../cmd/rhizome")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("build the binary: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// venv is the Python environment for the tests.
func venv(t *testing.T) string {
	t.Helper()
	path := os.Getenv("RHIZOME_TEST_VENV")
	if path == "" {
		path = filepath.Join("..", ".venv", "flwr-1.41")
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

// world is what one test runs: daemons with their folders, and a FLWR_HOME for flwr.
type world struct {
	t    *testing.T
	dir  string
	mark string // is in the environment of all processes of this world
	venv string

	daemons []*daemon
}

// newWorld makes an empty world. At the end of the test it stops what still runs and fails
// the test if a process is left.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), venv: venv(t)}
	w.mark = "RHIZOME_E2E_WORLD=" + w.dir
	t.Cleanup(func() {
		for i := len(w.daemons) - 1; i >= 0; i-- {
			w.daemons[i].stop()
		}
		w.checkNoOrphans()
		if t.Failed() {
			for _, d := range w.daemons {
				t.Logf("--- output of %s ---\n%s", d.name, tail(d.output(), 60))
			}
		}
	})
	return w
}

func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// env is the environment of the world's processes. FLWR_HOME is that of the flwr command;
// daemons of ours do not get it, so that they use their own as they do for a user.
func (w *world) env(extra ...string) []string {
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
		// On two cores a thread pool for each of many small processes only costs time.
		"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1",
	), extra...)
}

// freePort finds a port that nobody listens on.
func (w *world) freePort() int {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (w *world) freeAddress() string { return "127.0.0.1:" + strconv.Itoa(w.freePort()) }

// eventually waits for a condition that nobody can tell us about.
func (w *world) eventually(what string, limit time.Duration, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				w.t.Fatalf("not within %v: %s", limit, what)
			}
			return
		}
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
