package warm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// TestRunsDoNotNoticeWhatGoesWrongBesideThem has an app train alone, then alongside others that
// misbehave in every way we know, and then while fork servers are killed.
func TestRunsDoNotNoticeWhatGoesWrongBesideThem(t *testing.T) {
	t.Parallel()
	f := newFederation(t, world.New(t), testNodes)
	s := &steady{federation: f, app: f.app("steady", nil)}
	s.want = s.alone()
	t.Run("rude apps", func(t *testing.T) {
		f.at(t)
		var all []*rude
		for _, way := range rudeness {
			all = append(all, f.beRude(way.how))
		}
		if got := s.alone(); !slices.Equal(got, s.want) {
			t.Errorf("the run beside them gave %v, alone %v", got, s.want)
		}
		for i, r := range all {
			rudeness[i].check(r, r.end())
		}
		f.checkMemory()
	})
	t.Run("killed fork servers", func(t *testing.T) {
		f.at(t)
		s.whileForkServersAreKilled()
	})
	f.at(t)
}

// steady is the test app that can be held at a point of its training.
type steady struct {
	*federation
	app  string
	want []string // its final weights
}

const steadySettings = "nodes=2 rounds=2 size=256 work=0.0"

// alone runs the app by itself and returns its final weights.
func (s *steady) alone() []string {
	s.t.Helper()
	return s.run(s.app, steadySettings).all("final weights sha256:")
}

// whileForkServersAreKilled kills the fork servers of one site between two of its tasks, those of
// the other site during a task, and those of the link while the ServerApp runs.
func (s *steady) whileForkServersAreKilled() {
	s.t.Helper()
	s.killForkServers("node0") // they have served tasks and wait for the next
	stage := s.folder("stage")
	hold := filepath.Join(stage, "hold-train-1")
	s.write(hold, "")
	run := s.Submit(s.app, "-c", fmt.Sprintf("%s dir=%q", steadySettings, stage))
	events := func() []string {
		text, _ := os.ReadFile(filepath.Join(stage, "events"))
		return strings.Fields(string(text))
	}
	s.Eventually("a task runs at the other site", world.RunLimit, func() bool { return slices.Contains(events(), "held-train-1") })
	s.killForkServers("node1")
	s.killForkServers("link")
	if err := os.Remove(hold); err != nil {
		s.t.Fatal(err)
	}
	out := lines{s.t, s.Run("log", run, "test", "--stream")}
	if got := out.all("final weights sha256:"); !slices.Equal(got, s.want) {
		s.t.Errorf("final weights %v, undisturbed %v", got, s.want)
	}
	happened := events()
	for _, once := range []string{"train-1-0", "train-1-1", "train-2-0", "train-2-1"} {
		n := len(happened) - len(slices.DeleteFunc(slices.Clone(happened), func(e string) bool { return e == once }))
		if n != 1 {
			s.t.Errorf("%s happened %d times: %v", once, n, happened)
		}
	}
}

// killForkServers kills all fork servers of a daemon.
func (s *steady) killForkServers(daemon string) {
	s.t.Helper()
	servers := s.ForkServers(daemon)
	if len(servers) == 0 {
		s.t.Fatalf("%s has no fork server", daemon)
	}
	for _, pid := range servers {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			s.t.Fatal(err)
		}
	}
	s.Eventually("the fork servers of "+daemon+" are gone", world.StopLimit, func() bool {
		return !slices.ContainsFunc(servers, world.Alive)
	})
}
