package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// daemon is one process that a test started.
type daemon struct {
	w       *world
	name    string
	args    []string
	env     []string
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
	out     *buffer
	stopped bool
}

// buffer collects output and can be waited on.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start starts a program in the world and waits until its output matches ready.
func (w *world) start(name, ready string, env []string, program string, args ...string) *daemon {
	w.t.Helper()
	d := &daemon{w: w, name: name, args: append([]string{program}, args...), env: w.env(env...), out: &buffer{}}
	w.daemons = append(w.daemons, d)
	d.run(ready)
	return d
}

func (d *daemon) run(ready string) {
	d.w.t.Helper()
	d.cmd = exec.Command(d.args[0], d.args[1:]...)
	d.cmd.Env, d.cmd.Dir = d.env, d.w.dir
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
	// It must end on its own account when it is asked to, not with the terminal's group; and
	// what it leaves behind must not keep Wait from returning.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	d.cmd.WaitDelay = time.Second
	before := len(d.out.String())
	if err := d.cmd.Start(); err != nil {
		d.w.t.Fatalf("start %s: %v", d.name, err)
	}
	cmd, done := d.cmd, make(chan struct{})
	d.done, d.stopped = done, false
	go func() { defer close(done); _ = cmd.Wait() }()
	pattern := regexp.MustCompile(`(?m)` + ready)
	d.w.eventually(fmt.Sprintf("%s is ready (%s)", d.name, ready), startLimit, func() bool {
		if d.ended() && !pattern.MatchString(d.out.String()[before:]) {
			d.w.t.Fatalf("%s ended before it was ready:\n%s", d.name, tail(d.output(), 30))
		}
		return pattern.MatchString(d.out.String()[before:])
	})
}

func (d *daemon) output() string { return d.out.String() }

func (d *daemon) ended() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// stop asks the daemon to end as a user would, and insists on it.
func (d *daemon) stop() {
	d.w.t.Helper()
	if d.stopped {
		return
	}
	d.stopped = true
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(stopLimit):
		d.w.t.Errorf("%s does not end within %v", d.name, stopLimit)
		_ = d.cmd.Process.Kill()
		<-d.done
	}
}

// kill ends the daemon without a chance to clean up.
func (d *daemon) kill() {
	d.stopped = true
	_ = d.cmd.Process.Kill()
	<-d.done
}

// again starts the daemon with the same arguments.
func (d *daemon) again(ready string) {
	d.w.t.Helper()
	d.run(ready)
}

// proc is a process of the world, as /proc shows it.
type proc struct {
	pid  int
	args string
}

// processes lists the living processes of the world whose arguments contain all parts.
func (w *world) processes(parts ...string) []proc {
	w.t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		w.t.Fatal(err)
	}
	var found []proc
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+w.mark+"\x00")) {
			continue // ended, a zombie, or not ours
		}
		raw, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		args := string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '}))
		if containsAll(args, parts) {
			found = append(found, proc{pid: pid, args: args})
		}
	}
	return found
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// checkNoOrphans fails the test if a process of the world is left, and ends it.
func (w *world) checkNoOrphans() {
	w.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	left := w.processes()
	for len(left) > 0 && time.Now().Before(deadline) {
		<-time.After(50 * time.Millisecond)
		left = w.processes()
	}
	for _, p := range left {
		w.t.Errorf("process %d is left: %s", p.pid, p.args)
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}
