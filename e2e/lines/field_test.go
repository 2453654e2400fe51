//go:build linux

package lines

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/natlab"
	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/node"
)

const (
	// pathLimit is how long a node may take to join and get to its path, over any line.
	pathLimit = 3 * time.Minute
	// runLimit bounds what hangs; on a quiet machine the longest run takes two minutes.
	runLimit = 8 * time.Minute
	// look is the pause between looks at a status.
	look = 100 * time.Millisecond
	// askLimit is how long a status may take, since it waits a second for silent peers.
	askLimit = 10 * time.Second
)

// hub is the host of the link, and relayHost that of the relay.
const (
	hub       = "hub"
	relayHost = "relay"
)

// field is a federation in a lab: a relay, a link, two nodes with good lines, and a site for
// each cell.
type field struct {
	t *testing.T
	*world.World
	lab    *natlab.Lab
	link   *world.Daemon
	ticket string
	good   []uint64       // ids of the nodes with good lines
	runs   map[model]*run // over good lines alone
}

var labs atomic.Int32

func newField(t *testing.T, cells []cell) *field {
	t.Helper()
	world.NeedLab(t)
	sites := []natlab.Site{
		{Name: relayHost, Kind: natlab.Public},
		{Name: hub, Kind: natlab.Cone},
		{Name: "good0", Kind: natlab.Cone, Uplink: usually},
		{Name: "good1", Kind: natlab.Cone, Uplink: usually},
	}
	for i, c := range cells {
		s := natlab.Site{Name: siteOf(i), Kind: c.path.kind, Uplink: usually}
		if c.uplink != nil {
			s.Uplink = *c.uplink
		}
		sites = append(sites, s)
	}
	lab, err := natlab.Build(natlab.Topology{Prefix: fmt.Sprint("l", labs.Add(1)), Sites: sites})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &field{t: t, World: world.New(t), lab: lab}
	f.startHub(len(cells))
	for i := range 2 {
		name := fmt.Sprint("good", i)
		f.node(f.World, name, i, "--slots", fmt.Sprint(len(cells)))
	}
	for i := range 2 {
		f.good = append(f.good, f.awaitNode(t, fmt.Sprint("good", i), true).ID)
	}
	f.startGoodRuns(cells)
	return f
}

// siteOf names the site of the i-th cell.
func siteOf(i int) string { return fmt.Sprint("site", i) }

// startHub starts the relay and the link.
func (f *field) startHub(cells int) {
	f.t.Helper()
	relay := f.start(f.World, relayHost, relayHost, "relay", "--open", "--port", "443", "--websocket")
	var found struct {
		Addresses []string `json:"addresses"`
	}
	world.Eventually(f.t, "the relay tells its addresses", world.StartLimit, look, func() bool {
		return ask(f.World, relay.Name, &found) && len(found.Addresses) > 0
	})
	args := []string{"link", "--python", f.Venv()}
	for _, a := range found.Addresses {
		if strings.HasPrefix(a, "/ip4/"+f.lab.Addr(relayHost)+"/") {
			args = append(args, "--relay", a)
		}
	}
	f.link = f.start(f.World, hub, "link", args...)
	f.ticket = f.Ticket("--uses", fmt.Sprint(2+cells))
}

// start starts `rhizome args...` on a host, with its data in a folder of the world.
func (f *field) start(w *world.World, host, name string, args ...string) *world.Daemon {
	args = append([]string{args[0], "--data", w.Path(name)}, args[1:]...)
	cmd := f.at(host)(world.Binary(f.t), args...)
	return w.Start(name, world.Ready, nil, cmd.Path, cmd.Args[1:]...)
}

// at returns a function that makes commands to run on a host.
func (f *field) at(host string) func(program string, args ...string) *exec.Cmd {
	return func(program string, args ...string) *exec.Cmd {
		return f.lab.Cmd(context.Background(), host, program, args...)
	}
}

// node starts a node for a partition, on the host of the same name.
func (f *field) node(w *world.World, name string, partition int, args ...string) *world.Daemon {
	return f.start(w, name, name, append([]string{
		"node", "--join", f.ticket, "--name", name, "--python", w.Venv(), "--node-config", world.NodeConfig(partition, 2),
	}, args...)...)
}

// awaitNode waits until a node has a session on the path that it should have: a session that
// began on a relayed path is reopened on the direct one.
func (f *field) awaitNode(t *testing.T, name string, direct bool) (n linkadmin.NodeStatus) {
	t.Helper()
	world.Eventually(t, name+" is on its path", pathLimit, look, func() bool {
		n = f.sees(t, name)
		return n.Session != nil && n.Path != nil && n.Path.Direct == direct && !n.Session.Before(n.Path.Since)
	})
	return n
}

// sees returns how the link sees a node.
func (f *field) sees(t *testing.T, name string) linkadmin.NodeStatus {
	t.Helper()
	var status linkadmin.Status
	world.Eventually(t, "the link tells its status", world.StartLimit, look, func() bool {
		status = linkadmin.Status{}
		return ask(f.World, f.link.Name, &status)
	})
	if i := slices.IndexFunc(status.Nodes, func(n linkadmin.NodeStatus) bool { return n.Name == name }); i >= 0 {
		return status.Nodes[i]
	}
	return linkadmin.NodeStatus{}
}

// run is one `flwr run --stream` on the link's host.
type run struct {
	*world.Daemon
	started time.Time
}

// submit starts a run of a model on the given nodes.
func (f *field) submit(w *world.World, name string, m model, nodes ...uint64) *run {
	ids := strings.Trim(strings.ReplaceAll(fmt.Sprint(nodes), " ", ","), "[]")
	app, err := filepath.Abs(filepath.Join("testdata", "patient"))
	if err != nil {
		f.t.Fatal(err)
	}
	config := fmt.Sprintf("nodes=%q salt=%q size=%d rounds=%d", ids, name+ids, m.numbers, m.rounds)
	started := time.Now()
	return &run{w.Flwr("127.0.0.1:8000").StartAt(f.at(hub), name, "run", app, "test", "--stream", "-c", config), started}
}

// startGoodRuns starts a run over good lines for each model that the cells use.
func (f *field) startGoodRuns(cells []cell) {
	f.t.Helper()
	f.runs = make(map[model]*run)
	for _, c := range cells {
		if f.runs[c.model] == nil {
			f.runs[c.model] = f.submit(f.World, fmt.Sprint("good-", c.model.numbers), c.model, f.good...)
		}
	}
}

// await waits for the end of a run, and returns its weights and how long it took.
func (f *field) await(t *testing.T, r *run) (weights string, took time.Duration) {
	t.Helper()
	world.Eventually(t, "the end of the run", runLimit, look, r.Ended)
	return world.WeightsHash(t, r.Output()), time.Since(r.started)
}

// ask asks a daemon for its status, and returns false while it does not answer.
func ask(w *world.World, name string, status any) bool {
	client, err := admin.NewClient(w.Path(name))
	if err != nil {
		return false
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	return client.Call(ctx, http.MethodGet, "/status", nil, status) == nil
}

// askNode asks a node for its status, and returns false while it does not answer.
func askNode(w *world.World, name string) (status node.Status, ok bool) {
	ok = ask(w, name, &status)
	return status, ok
}
