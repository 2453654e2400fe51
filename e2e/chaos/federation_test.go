package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/internal/admin"
	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/node"
)

// temporary is the name of the folder for temporary files.
const temporary = "tmp"

// federation is a relay, a link that can only be reached through it, and nodes.
type federation struct {
	t *testing.T
	*world.World
	flwr        *world.Flwr
	relay, link *world.Daemon
	nodes       []*world.Daemon

	app   *steady // the app of the run that is disturbed
	runID string
}

func newFederation(t *testing.T, nodes int, relayFlags ...string) *federation {
	t.Helper()
	return newFederationWith(t, nodes, func(_ *world.World, name string) []string {
		if name == "relay" {
			return relayFlags
		}
		return nil
	})
}

// newFederationWith is newFederation with flags for each daemon.
func newFederationWith(t *testing.T, nodes int, flags func(w *world.World, name string) []string) *federation {
	t.Helper()
	f := &federation{t: t, World: world.New(t)}
	world.Binary(t) // before the temporary folder changes
	// The test also checks what our processes leave in the temporary folder.
	if err := os.Mkdir(f.Path(temporary), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", f.Path(temporary))
	var relayAddress, linkAddress string
	f.relay, relayAddress = f.Relay(flags(f.World, "relay")...)
	f.link, linkAddress = f.LinkListening("none", append(flags(f.World, "link"), "--relay", relayAddress)...)
	f.flwr = f.Flwr(linkAddress)
	ticket := f.Ticket("--uses", fmt.Sprint(nodes))
	for i := range nodes {
		more := append(flags(f.World, fmt.Sprintf("node%d", i)), "--listen", "none")
		f.nodes = append(f.nodes, f.Node(ticket, i, nodes, more...))
	}
	return f
}

// hosts are the daemons that have a SuperExec.
func (f *federation) hosts() []*world.Daemon { return append([]*world.Daemon{f.link}, f.nodes...) }

func (f *federation) daemons() []*world.Daemon {
	return append([]*world.Daemon{f.relay}, f.hosts()...)
}

// superExec returns the pid of a daemon's SuperExec, or 0 if none is running.
func (f *federation) superExec(host *world.Daemon) int {
	var card struct {
		Process struct{ PID int }
	}
	text, err := os.ReadFile(f.Path(host.Name, "superexec", "superexec.json"))
	if err != nil || json.Unmarshal(text, &card) != nil {
		return 0
	}
	return f.ours(card.Process.PID)
}

// apps returns the pids of the app processes that a daemon's SuperExec has recorded.
func (f *federation) apps(host *world.Daemon) []int {
	f.t.Helper()
	records, err := filepath.Glob(f.Path(host.Name, "superexec", "apps", "*.json"))
	if err != nil {
		f.t.Fatal(err)
	}
	var pids []int
	for _, path := range records {
		var record struct {
			Handle struct{ PID int }
		}
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &record) != nil {
			continue // it has just ended, or is not running yet
		}
		if pid := f.ours(record.Handle.PID); pid != 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// ours returns the pid if a living process of this world has it, and 0 otherwise. Pids on disk
// may belong to processes that are long gone.
func (f *federation) ours(pid int) int {
	if pid == 0 || !world.Alive(pid) {
		return 0
	}
	for _, p := range f.Processes() {
		if p.PID == pid {
			return pid
		}
	}
	return 0
}

// status asks the link for its status; ok is false while it does not answer.
func (f *federation) status() (status linkadmin.Status, ok bool) {
	f.t.Helper()
	ok = f.ask(f.link, &status)
	return status, ok
}

// nodeStatus asks a node for its status; ok is false while it does not answer.
func (f *federation) nodeStatus(d *world.Daemon) (status node.Status, ok bool) {
	f.t.Helper()
	ok = f.ask(d, &status)
	return status, ok
}

func (f *federation) ask(d *world.Daemon, status any) bool {
	f.t.Helper()
	client, err := admin.NewClient(f.Path(d.Name))
	if err != nil {
		f.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
	defer cancel()
	return client.Call(ctx, http.MethodGet, "/status", nil, status) == nil
}

// awaitEnd waits until a run has finished, and returns it as the status shows it.
func (f *federation) awaitEnd(runID string, limit time.Duration) linkadmin.RunStatus {
	f.t.Helper()
	var found linkadmin.RunStatus
	f.Eventually("the end of run "+runID, limit, func() bool {
		status, ok := f.status()
		for _, run := range status.Runs {
			if fmt.Sprint(run.ID) == runID {
				found = run
			}
		}
		return ok && len(found.Status) > len("finished") && found.Status[:len("finished")] == "finished"
	})
	return found
}

// train runs the test app undisturbed and returns its result.
func (f *federation) train(name string, settings ...string) string {
	f.t.Helper()
	s := newSteady(f.t, f.World, name)
	f.flwr.Run("run", s.app(), "test", "--stream", "-c", s.config(settings...))
	if s.result() == "" {
		f.t.Fatal("the undisturbed run gave no result")
	}
	return s.result()
}
