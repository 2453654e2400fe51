//go:build linux

package swarm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/natlab"
)

const (
	// limit bounds every wait; it is only reached when something is broken.
	limit = 2 * time.Minute
	// look is the pause between two looks at a status.
	look = 20 * time.Millisecond
)

// federation is a lab with a link and nodes, each a process without a SuperExec: nobody works
// on the messages, so they stay where they have arrived.
type federation struct {
	t     *testing.T
	lab   *natlab.Lab
	dir   string
	link  *daemon
	nodes []*daemon
}

var labs atomic.Int32

// found builds a lab: the link on its own site, and n nodes, each on its own.
func found(t *testing.T, linkLine, nodeLine natlab.Link, n int, kind natlab.Kind, flags ...string) *federation {
	t.Helper()
	world.NeedLab(t)
	world.Binary(t)
	sites := []natlab.Site{{Name: "hub", Kind: natlab.Public, Uplink: linkLine}}
	for i := range n {
		sites = append(sites, natlab.Site{Name: fmt.Sprint("site", i), Kind: kind, Uplink: nodeLine})
	}
	lab, err := natlab.Build(natlab.Topology{Prefix: fmt.Sprint("s", labs.Add(1)), Sites: sites})
	if err != nil {
		t.Fatal(err)
	}
	f := &federation{t: t, lab: lab, dir: t.TempDir()}
	t.Cleanup(f.end)
	f.link = f.start("hub", "link", append([]string{"link", "--http", "127.0.0.1:8000", "--isolation", "process"}, flags...)...)
	return f
}

func (f *federation) end() {
	for _, d := range append(f.nodes, f.link) {
		d.stop()
		if f.t.Failed() || os.Getenv("RHIZOME_LOGS") != "" {
			f.t.Logf("--- output of %s ---\n%s", d.name, d.output())
		}
	}
	if err := f.lab.Close(); err != nil {
		f.t.Error(err)
	}
}

// join starts node i with a ticket of the link.
func (f *federation) join(i int, flags ...string) *daemon {
	f.t.Helper()
	ticket := filepath.Join(f.link.data(), "join.ticket")
	f.await("a ticket", func() bool { _, err := os.Stat(ticket); return err == nil })
	name := fmt.Sprint("site", i)
	args := append([]string{"node", "--join", "@" + ticket, "--name", name, "--isolation", "process"}, flags...)
	d := f.start(name, name, args...)
	f.nodes = append(f.nodes, d)
	return d
}

func (f *federation) joinAll(n int, flags ...string) {
	f.t.Helper()
	for i := range n {
		f.join(i, flags...)
	}
}

func (f *federation) await(what string, holds func() bool) {
	f.t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			f.t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(look) // there is no bell for what we wait for
	}
}

// daemon is one process.
type daemon struct {
	f     *federation
	name  string
	cmd   *exec.Cmd
	done  chan struct{}
	admin *admin.Client

	mu  sync.Mutex
	out bytes.Buffer
}

var ready = regexp.MustCompile(`(?m)^ready `)

func (f *federation) start(host, name string, args ...string) *daemon {
	f.t.Helper()
	d := &daemon{f: f, name: name, done: make(chan struct{})}
	args = append([]string{args[0], "--data", d.data()}, args[1:]...)
	d.cmd = f.lab.Cmd(context.Background(), host, world.Binary(f.t), args...)
	d.cmd.Stdout, d.cmd.Stderr, d.cmd.WaitDelay = d, d, time.Second
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	begun := make(chan error)
	go func() {
		defer close(d.done)
		// Pdeathsig is sent when the thread that started the process ends, and what the lab
		// does in namespaces ends threads: this one is kept for as long as the process lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := d.cmd.Start()
		begun <- err
		if err == nil {
			_ = d.cmd.Wait()
		}
	}()
	if err := <-begun; err != nil {
		f.t.Fatal(err)
	}
	f.await(name+" is ready", func() bool { return ready.MatchString(d.output()) })
	client, err := admin.NewClient(d.data())
	if err != nil {
		f.t.Fatal(err)
	}
	d.admin = client
	return d
}

func (d *daemon) data() string { return filepath.Join(d.f.dir, d.name) }

func (d *daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.out.Write(p)
}

func (d *daemon) output() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.out.String()
}

func (d *daemon) stop() {
	if d.admin != nil {
		d.admin.Close()
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(20 * time.Second):
		d.f.t.Errorf("%s does not end", d.name)
		_ = d.cmd.Process.Kill()
		<-d.done
	}
}

// nodeStatus is the part of a node's status that these tests look at.
type nodeStatus struct {
	NodeID uint64 `json:"node_id,string"`
	Runs   []struct {
		Queued int `json:"queued"`
	} `json:"runs"`
	Swarm struct {
		State string `json:"state"`
		Peers int    `json:"peers"`
		Given int64  `json:"bytes_given"`
		Taken int64  `json:"bytes_taken"`
	} `json:"swarm"`
	Link struct {
		Path *struct {
			BytesIn   int64  `json:"bytes_in"`
			Transport string `json:"transport"`
		} `json:"path"`
	} `json:"link"`
}

func (d *daemon) status() (s nodeStatus) {
	d.f.t.Helper()
	if err := d.admin.Call(d.f.t.Context(), "GET", "/status", nil, &s); err != nil {
		d.f.t.Fatalf("%s: %v", d.name, err)
	}
	return s
}

// queued is how many messages have arrived in full.
func (s nodeStatus) queued() (n int) {
	for _, r := range s.Runs {
		n += r.Queued
	}
	return n
}

// fromLink is how much all nodes have received from the link, over all protocols.
func (f *federation) fromLink() (bytes int64) {
	for _, n := range f.nodes {
		if path := n.status().Link.Path; path != nil {
			bytes += path.BytesIn
		}
	}
	return bytes
}
