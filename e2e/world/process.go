package world

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
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Daemon is one process that a test started, with the data that it leaves to its successor.
// Its methods are for a single goroutine.
type Daemon struct {
	// Name is also the name of its data folder.
	Name    string
	w       *World
	args    []string
	env     []string
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
	out     *buffer
	stopped bool
}

// buffer collects output and can be read at any time.
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

// Start starts a program in the world and waits until its output matches ready.
func (w *World) Start(name, ready string, env []string, program string, args ...string) *Daemon {
	w.t.Helper()
	d := &Daemon{w: w, Name: name, args: append([]string{program}, args...), env: w.Env(env...), out: &buffer{}}
	w.daemons = append(w.daemons, d)
	d.run(ready)
	return d
}

// Daemon returns the one that was started under the given name.
func (w *World) Daemon(name string) *Daemon {
	w.t.Helper()
	for _, d := range w.daemons {
		if d.Name == name {
			return d
		}
	}
	w.t.Fatalf("no daemon %q was started", name)
	return nil
}

// Launch starts the daemon with the same arguments, without waiting for it.
func (d *Daemon) Launch() {
	d.w.t.Helper()
	d.cmd = exec.Command(d.args[0], d.args[1:]...)
	d.cmd.Env, d.cmd.Dir = d.env, d.w.dir
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
	// It must end by itself when asked to, not with the terminal's group, and what it leaves
	// behind must not keep Wait from returning.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	d.cmd.WaitDelay = time.Second
	if err := d.cmd.Start(); err != nil {
		d.w.t.Fatalf("start %s: %v", d.Name, err)
	}
	cmd, done := d.cmd, make(chan struct{})
	d.done, d.stopped = done, false
	go func() { defer close(done); _ = cmd.Wait() }()
}

func (d *Daemon) run(ready string) {
	d.w.t.Helper()
	before := len(d.out.String())
	d.Launch()
	pattern := regexp.MustCompile(`(?m)` + ready)
	d.w.Eventually(fmt.Sprintf("%s is ready (%s)", d.Name, ready), StartLimit, func() bool {
		if d.Ended() && !pattern.MatchString(d.out.String()[before:]) {
			d.w.t.Fatalf("%s ended before it was ready:\n%s", d.Name, Tail(d.Output(), 30))
		}
		return pattern.MatchString(d.out.String()[before:])
	})
}

// Output is what this process and its predecessors have printed.
func (d *Daemon) Output() string { return d.out.String() }

// PID is that of the process that is running now, or that ran last.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Ended says whether the process has ended.
func (d *Daemon) Ended() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// Stop asks the daemon to end as a user would, and kills it if it does not.
func (d *Daemon) Stop() {
	d.w.t.Helper()
	if d.stopped {
		return
	}
	d.stopped = true
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(StopLimit):
		d.w.t.Errorf("%s does not end within %v", d.Name, StopLimit)
		_ = d.cmd.Process.Kill()
		<-d.done
	}
}

// Interrupt sends the daemon what Ctrl-C would.
func (d *Daemon) Interrupt() {
	d.w.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		d.w.t.Fatalf("interrupt %s: %v", d.Name, err)
	}
}

// Kill ends the daemon without a chance to clean up.
func (d *Daemon) Kill() {
	d.stopped = true
	_ = d.cmd.Process.Kill()
	<-d.done
}

// Again starts the daemon with the same arguments and waits until it is ready.
func (d *Daemon) Again(ready string) {
	d.w.t.Helper()
	d.run(ready)
}

// Proc is a process of the world, as /proc shows it.
type Proc struct {
	PID  int
	Args string
}

// Processes lists the living processes of the world whose arguments contain all parts.
func (w *World) Processes(parts ...string) []Proc {
	w.t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		w.t.Fatal(err)
	}
	var found []Proc
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+w.mark+"\x00")) {
			continue // it has ended, is a zombie, or is not ours
		}
		raw, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		args := string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '}))
		if containsAll(args, parts) {
			found = append(found, Proc{PID: pid, Args: args})
		}
	}
	return found
}

// ForkServers returns the pids of the fork servers of a daemon's SuperExec. Their forks,
// which look the same, are apps: each leads its own session.
func (w *World) ForkServers(daemon string) []int {
	w.t.Helper()
	var pids []int
	for _, p := range w.Processes(w.Path(daemon, "superexec", "warm", "forkserver.py")) {
		if session, err := unix.Getsid(p.PID); err == nil && session != p.PID {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// checkNoOrphans fails the test if any process of the world is left, and ends that process.
func (w *World) checkNoOrphans() {
	w.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	left := w.Processes()
	for len(left) > 0 && time.Now().Before(deadline) {
		<-time.After(50 * time.Millisecond)
		left = w.Processes()
	}
	for _, p := range left {
		w.t.Errorf("process %d is left: %s", p.PID, p.Args)
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
}

// Alive says whether a process is running; a process that its parent has not yet collected is
// not.
func Alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	// A zombie has no command line.
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && len(line) > 0
}

// Kill ends a process of the test without a chance to clean up.
func Kill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
