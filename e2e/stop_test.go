package e2e

import (
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

func TestStopEndsAllProcessesOfARun(t *testing.T) {
	w := world.New(t)
	_, link := w.Link()
	w.Nodes(3)
	f := w.Flwr(link)
	p := w.Probe("hang")
	run := f.Submit(p.Dir, "-c", p.Config("min-nodes=3"))
	apps := append(p.Await("hanging", 3), p.Await("server", 1)...)
	f.Run("stop", run, "test")
	w.Eventually("ServerApp and ClientApps of a stopped run are gone", promptly, func() bool {
		for _, app := range apps {
			if world.Alive(app.PID) {
				return false
			}
		}
		return true
	})
	if status := f.Status(run); status != "finished:stopped" {
		t.Errorf("the run is %q", status)
	}
	// The nodes are now free for the next run.
	ok := w.Probe("ok")
	f.Run("run", ok.Dir, "test", "--stream", "-c", ok.Config("min-nodes=3"))
	if got := len(ok.Read("client")); got != 3 {
		t.Errorf("%d ClientApps ran after the stop, want 3", got)
	}
}

func TestDaemonsThatStopLeaveNothing(t *testing.T) {
	w := world.New(t)
	linkDaemon, link := w.Link()
	nodes := w.Nodes(2)
	p := w.Probe("hang")
	f := w.Flwr(link)
	f.Submit(p.Dir, "-c", p.Config("min-nodes=2"))
	p.Await("hanging", 2)
	for _, d := range append(nodes, linkDaemon) {
		d.Stop()
	}
	w.Eventually("no process is left", 10*time.Second, func() bool { return len(w.Processes()) == 0 })
}
