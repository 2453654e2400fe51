package guard

import (
	"os"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// The hub is lost in the middle of a run and comes back from its backup: it is the same link
// to its nodes, which return by themselves. The run whose ServerApp lived on the lost machine
// fails within the grace period and says why; the pending run is run; and what had finished
// is still there.
func TestBackupOfALiveLink(t *testing.T) {
	w := world.New(t)
	hub, address := w.Link("--isolation", "process", "--grace", "10s")
	w.Nodes(1)
	f := w.Flwr(address)
	app := w.Probe("ok")
	done := f.Submit(app.Dir, "-c", app.Config())
	exec := w.SuperExec(address)
	w.Eventually("the first run is finished", world.RunLimit, func() bool { return f.Status(done) == "finished:completed" })
	running := f.Submit(app.Dir, "-c", app.Config("questions=1000"))
	app.Await("replies", 3)
	exec.Kill() // and its ServerApp, as if their machine were lost
	world.Kill(t, app.Await("server", 2)[1].PID)
	pending := f.Submit(app.Dir, "-c", app.Config())
	out := w.Command("backup", "--data", w.Path("link"), w.Path("hub.backup"))
	if !strings.Contains(out, "hub.backup holds the link") {
		t.Errorf("rhizome backup says %q", out)
	}
	tooLate := f.Submit(app.Dir, "-c", app.Config())
	id := strings.TrimSpace(w.Command("id", "--data", w.Path("link")))
	nodes := f.NodeIDs()
	hub.Kill()

	if err := os.Rename(w.Path("link"), w.Path("lost")); err != nil {
		t.Fatal(err)
	}
	if said := w.Command("restore", w.Path("hub.backup"), "--data", w.Path("link")); !strings.Contains(said, id) {
		t.Errorf("rhizome restore says %q", said)
	}
	hub.Again(world.Ready)
	w.Eventually("the node is back", world.StartLimit, func() bool { return len(f.NodeIDs()) == 1 })
	if got := f.NodeIDs(); got[0] != nodes[0] {
		t.Errorf("the node has the id %s, and had %s", got[0], nodes[0])
	}
	if _, _, code := f.Try("ls", "test", "--run-id", tooLate); code == 0 {
		t.Error("a run that began after the backup is there")
	}
	if got := f.Status(done); got != "finished:completed" {
		t.Errorf("the finished run is %s", got)
	}
	if log := f.Run("log", done, "test", "--show"); !strings.Contains(log, "outcome: ok") {
		t.Errorf("the log of the finished run:\n%s", log)
	}
	exec.Again(world.Ready)
	w.Eventually("the pending run is finished", world.RunLimit, func() bool { return f.Status(pending) == "finished:completed" })
	w.Eventually("the interrupted run is given up", world.RunLimit, func() bool { return strings.HasPrefix(f.Status(running), "finished") })
	if got := f.Status(running); got == "finished:completed" {
		t.Errorf("a run whose ServerApp is gone is %s", got)
	}
}
