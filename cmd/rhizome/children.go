package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// readyPrefix begins the line that a daemon prints once it serves.
const readyPrefix = "ready "

// child is a daemon that the demo started.
type child struct {
	name    string
	cmd     *exec.Cmd
	logFile string
	ended   chan struct{} // closed once the process has been reaped
}

// startChild starts `rhizome args...` with env and waits until it says that it is ready. Its
// output goes to a log file in dir.
func startChild(ctx context.Context, dir, name string, env []string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the rhizome binary: %w", err)
	}
	c := &child{name: name, logFile: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	logFile, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer logFile.Close()
	c.cmd = exec.Command(self, args...)
	c.cmd.Env = env
	c.cmd.Stderr = logFile
	// A process group of its own shields it from the terminal's Ctrl-C: the demo stops its
	// children in order.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ready := make(chan struct{})
	go c.reap(stdout, ready)
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	select {
	case <-ready:
		return c, nil
	case <-c.ended:
		return nil, fmt.Errorf("%s ended at once: %s", name, c.lastWords())
	case <-ctx.Done():
		c.stop()
		return nil, fmt.Errorf("%s was not ready within %s, see %s", name, readyLimit, c.logFile)
	}
}

// reap reads the child's stdout to its end, so that it never blocks, and waits for it.
func (c *child) reap(stdout interface{ Read([]byte) (int, error) }, ready chan<- struct{}) {
	defer close(c.ended)
	var once sync.Once
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), readyPrefix) {
			once.Do(func() { close(ready) })
		}
	}
	_ = c.cmd.Wait() // how it ended shows in its log
}

// stop ends the child and waits for it.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(stopGrace):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}

// lastWords is the last line of the child's log.
func (c *child) lastWords() string {
	text, err := os.ReadFile(c.logFile)
	if err != nil || len(strings.TrimSpace(string(text))) == 0 {
		return "it said nothing"
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// stopAll asks all children to end, starting with the one that started last, and waits for them.
func stopAll(children []*child) {
	var wait sync.WaitGroup
	for _, c := range slices.Backward(children) {
		wait.Go(c.stop)
	}
	wait.Wait()
}

var errInterrupted = errors.New("interrupted")
