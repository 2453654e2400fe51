//go:build linux

package nat

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	harness "github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/internal/admin"
)

// daemon is one process of the binary on a host of the lab.
type daemon struct {
	w          *world
	name, host string
	args       []string
	cmd        *exec.Cmd
	started    time.Time
	done       chan struct{} // closed when it has ended

	mu    sync.Mutex
	out   bytes.Buffer
	ready time.Time // when it said it was ready; zero if it has not yet
	wake  chan struct{}
}

// start starts `rhizome args...` on a host, with its data in a folder named after it.
func (w *world) start(host, name string, args ...string) *daemon {
	w.t.Helper()
	d := &daemon{w: w, name: name, host: host}
	d.args = append([]string{args[0], "--data", d.data()}, args[1:]...)
	w.daemons = append(w.daemons, d)
	d.run()
	return d
}

func (d *daemon) data() string { return d.w.path(d.name) }

// run starts the process, for the first time or again.
func (d *daemon) run() {
	d.w.t.Helper()
	cmd := d.w.lab.Cmd(context.Background(), d.host, harness.Binary(d.w.t), d.args...)
	cmd.Dir, cmd.Env = d.w.dir, append(os.Environ(), "HTTPS_PROXY=", "HTTP_PROXY=", "ALL_PROXY=")
	cmd.Stdout, cmd.Stderr = d, d
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	d.mu.Lock()
	d.ready, d.wake = time.Time{}, make(chan struct{})
	d.mu.Unlock()
	d.cmd, d.started, d.done = cmd, time.Now(), make(chan struct{})
	begun, done := make(chan error), d.done
	go func() {
		defer close(done)
		// Pdeathsig is sent when the thread that started the process ends, and threads end
		// after what the lab does in namespaces. This thread is therefore kept for as long as
		// the process lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		begun <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-begun; err != nil {
		d.w.t.Fatalf("start %s: %v", d.name, err)
	}
}

var readyLine = regexp.MustCompile(`(?m)^ready `)

// Write takes the output of the process.
func (d *daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ready.IsZero() && readyLine.Match(p) {
		d.ready = time.Now()
		close(d.wake)
	}
	return d.out.Write(p)
}

func (d *daemon) output() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.out.String()
}

// awaitReady waits until the daemon says that it is ready, and returns how long that took
// from its start. It returns false if the daemon ended first or was not ready in time.
func (d *daemon) awaitReady(limit time.Duration) (time.Duration, bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-d.wake:
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.ready.Sub(d.started), true
	case <-d.done:
	case <-timer.C:
	}
	return 0, false
}

func (d *daemon) mustBeReady() time.Duration {
	d.w.t.Helper()
	after, ok := d.awaitReady(startLimit)
	if !ok {
		d.w.t.Fatalf("%s is not ready:\n%s", d.name, tail(d.output(), 30))
	}
	return after
}

// stop asks the daemon to end, and kills it if it does not.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(stopLimit):
		d.w.t.Errorf("%s does not end within %v", d.name, stopLimit)
		d.kill()
	}
}

// kill ends the daemon without a chance to say goodbye. The kernel closes its sockets, which
// tells its peers.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.done
}

func stop(daemons ...*daemon) {
	var all sync.WaitGroup
	for _, d := range daemons {
		all.Go(d.stop)
	}
	all.Wait()
}

// status asks the daemon for its status; out points to the status type for its kind. It
// returns false if the daemon does not answer.
func (d *daemon) status(out any) bool { return d.call(http.MethodGet, "/status", nil, out) == nil }

func (d *daemon) call(method, path string, in, out any) error {
	client, err := admin.NewClient(d.data())
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Call(d.w.t.Context(), method, path, in, out)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
