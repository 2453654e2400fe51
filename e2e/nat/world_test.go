//go:build linux

package nat

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	harness "github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/internal/natlab"
)

const (
	// startLimit and stopLimit bound what hangs on a busy machine; they promise nothing.
	startLimit = time.Minute
	stopLimit  = 20 * time.Second
	// pollPause is the pause between looks at a status. What is measured comes from the times
	// that the status names, not from when it was looked at.
	pollPause = 50 * time.Millisecond
)

// world is a lab and the parties in it.
type world struct {
	t   *testing.T
	lab *natlab.Lab
	dir string

	daemons []*daemon
}

var labs atomic.Int32

// newWorld builds a lab for one test, and takes it down at the end with everything that runs
// in it.
func newWorld(t *testing.T, sites ...natlab.Site) *world {
	t.Helper()
	harness.NeedLab(t)
	harness.Binary(t)
	lab, err := natlab.Build(natlab.Topology{Prefix: fmt.Sprint("e", labs.Add(1)), Sites: sites})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, lab: lab, dir: t.TempDir()}
	t.Cleanup(func() {
		w.end()
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// in returns the world for a subtest. Whatever the subtest starts is stopped at its end.
func (w *world) in(t *testing.T) *world {
	inner := *w
	inner.t, inner.daemons = t, nil
	t.Cleanup(func() { inner.end() })
	return &inner
}

// end stops what is still running, and prints its output if the test failed.
func (w *world) end() {
	stop(w.daemons...)
	if w.t.Failed() {
		for _, d := range w.daemons {
			w.t.Logf("--- output of %s ---\n%s", d.name, tail(d.output(), 30))
		}
	}
}

func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// must checks steps that no test is about.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// within waits for a condition that nobody notifies us about, and says whether it came true.
func (w *world) within(limit time.Duration, holds func() bool) bool {
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(pollPause)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return !errors.Is(ctx.Err(), context.DeadlineExceeded) || holds()
		}
	}
	return true
}

// eventually is within for a condition that must come true.
func (w *world) eventually(what string, limit time.Duration, holds func() bool) {
	w.t.Helper()
	if !w.within(limit, holds) {
		w.t.Fatalf("not within %v: %s", limit, what)
	}
}
