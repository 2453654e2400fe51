package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// steady is one run of the test app of that name, with the folder through which it is
// controlled.
type steady struct {
	t     *testing.T
	w     *world.World
	stage string
}

func newSteady(t *testing.T, w *world.World, name string) *steady {
	t.Helper()
	s := &steady{t: t, w: w, stage: w.Path("stage-" + name)}
	if err := os.Mkdir(s.stage, 0o700); err != nil {
		t.Fatal(err)
	}
	return s
}

// app is the folder of the app.
func (s *steady) app() string {
	path, err := filepath.Abs(filepath.Join("..", "testdata", "apps", "steady"))
	if err != nil {
		s.t.Fatal(err)
	}
	return path
}

// config is the value for -c.
func (s *steady) config(settings ...string) string {
	return strings.Join(append([]string{fmt.Sprintf("dir=%q", s.stage)}, settings...), " ")
}

func (s *steady) barrier(point string) string { return filepath.Join(s.stage, "hold-"+point) }

// hold makes the app wait when it reaches the point.
func (s *steady) hold(point string) {
	s.t.Helper()
	if err := os.WriteFile(s.barrier(point), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// release lets the app go on.
func (s *steady) release(point string) {
	s.t.Helper()
	if err := os.Remove(s.barrier(point)); err != nil {
		s.t.Fatal(err)
	}
}

// count is how often an event happened.
func (s *steady) count(event string) int { return len(s.pids(event)) }

// pids lists the processes in which an event happened.
func (s *steady) pids(event string) []int {
	s.t.Helper()
	text, _ := os.ReadFile(filepath.Join(s.stage, "events"))
	var pids []int
	for line := range strings.Lines(string(text)) {
		name, pid, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name != event {
			continue
		}
		n, err := strconv.Atoi(pid)
		if err != nil {
			s.t.Fatalf("event %q", line)
		}
		pids = append(pids, n)
	}
	return pids
}

// await waits for an event.
func (s *steady) await(event string, limit time.Duration) {
	s.t.Helper()
	s.w.Eventually("event "+event+" of the app", limit, func() bool { return s.count(event) > 0 })
}

// result is the digest of the final weights, or empty if there are none yet.
func (s *steady) result() string {
	text, _ := os.ReadFile(filepath.Join(s.stage, "result"))
	return string(text)
}
