package e2e

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStopEndsAllProcessesOfARun(t *testing.T) {
	w := newWorld(t)
	_, link := w.link()
	w.nodes(3)
	f := w.flwr(link)
	p := w.probe("hang")
	run := f.submit(p.dir, "-c", p.config("min-nodes=3"))
	apps := append(p.await("hanging", 3), p.await("server", 1)...)
	f.run("stop", run, "test")
	w.eventually("ServerApp and ClientApps of a stopped run are gone", promptly, func() bool {
		for _, app := range apps {
			if alive(app.pid) {
				return false
			}
		}
		return true
	})
	if status := f.status(run); status != "finished:stopped" {
		t.Errorf("the run is %q", status)
	}
	// The nodes are free for the next run.
	ok := w.probe("ok")
	f.run("run", ok.dir, "test", "--stream", "-c", ok.config("min-nodes=3"))
	if got := len(ok.read("client")); got != 3 {
		t.Errorf("%d ClientApps ran after the stop, want 3", got)
	}
}

// alive says whether a process runs: one that its parent has not collected does not.
func alive(pid int) bool {
	if unix.Kill(pid, 0) != nil {
		return false
	}
	// A zombie has no command line.
	line, err := os.ReadFile("/proc/" + itoa(pid) + "/cmdline")
	return err == nil && len(line) > 0
}

func TestDaemonsThatStopLeaveNothing(t *testing.T) {
	w := newWorld(t)
	linkDaemon, link := w.link()
	nodes := w.nodes(2)
	p := w.probe("hang")
	f := w.flwr(link)
	f.submit(p.dir, "-c", p.config("min-nodes=2"))
	p.await("hanging", 2)
	for _, d := range append(nodes, linkDaemon) {
		d.stop()
	}
	w.eventually("no process is left", 10*time.Second, func() bool { return len(w.processes()) == 0 })
}
