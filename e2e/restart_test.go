package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// backWithin is how soon nodes must have their sessions again once the link is back.
const backWithin = 5 * time.Second

func TestLinkThatRestartsKnowsEverything(t *testing.T) {
	for _, how := range []string{"stopped", "killed"} {
		t.Run(how, func(t *testing.T) {
			w := world.New(t)
			linkDaemon, link := w.Link()
			f := w.Flwr(link)
			ids := w.NamedNodes(f, 2)
			p := w.Probe("ok")
			run := f.Submit(p.Dir, "-c", p.Config("min-nodes=2"))
			logBefore := f.Run("log", run, "test", "--stream")

			if how == "killed" {
				linkDaemon.Kill()
			} else {
				linkDaemon.Stop()
			}
			linkDaemon.Again(world.Ready)

			w.Eventually("both nodes are back", backWithin, func() bool { return len(f.NodeIDs()) == 2 })
			for _, id := range f.NodeIDs() {
				if id != ids["node0"] && id != ids["node1"] {
					t.Errorf("node %s was not there before: %v", id, ids)
				}
			}
			if status := f.Status(run); status != "finished:completed" {
				t.Errorf("the run of before is %q", status)
			}
			logAfter := f.Run("log", run, "test", "--show")
			if !strings.Contains(logBefore, "outcome: ok") || !strings.Contains(logAfter, "outcome: ok") {
				t.Errorf("log before:\n%s\nlog after:\n%s", logBefore, logAfter)
			}
			p2 := w.Probe("raise")
			out := f.Run("run", p2.Dir, "test", "--stream", "-c", p2.Config("min-nodes=2"))
			if strings.Count(out, "outcome: error 2") != 2 {
				t.Errorf("the next run:\n%s", world.Tail(out, 30))
			}
		})
	}
}

func TestKilledSuperExecLosesNoApp(t *testing.T) {
	w := world.New(t)
	_, link := w.Link()
	w.Nodes(1)
	f := w.Flwr(link)
	p := w.Probe("hang")
	run := f.Submit(p.Dir, "-c", p.Config())
	app := p.Await("hanging", 1)[0]
	server := p.Await("server", 1)[0]
	for _, exec := range w.Processes(" exec ", "--runtime-api-address") {
		world.Kill(t, exec.PID)
	}
	w.Eventually("link and node have a SuperExec again", world.StartLimit, func() bool {
		return len(w.Processes(" exec ", "--runtime-api-address")) == 2
	})
	if !world.Alive(app.PID) || !world.Alive(server.PID) {
		t.Fatal("an app died with its SuperExec")
	}
	f.Run("stop", run, "test")
	w.Eventually("apps that were taken back end with their run", world.StartLimit, func() bool {
		return !world.Alive(app.PID) && !world.Alive(server.PID)
	})
}
