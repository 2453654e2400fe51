// Package subprocess runs app processes as children of the SuperExec: the executor that
// works everywhere.
//
// Every app leads a process group of its own, so that the end of the app is the end of everything
// it started, and so that a signal from the SuperExec's terminal does not reach it. Apps are not
// tied to the life of the SuperExec. A process that was taken back can be waited for and stopped
// like a child; only its exit status stays unknown, since the kernel reveals that to the
// parent alone.
//
// It is not responsible for isolation: apps run as the user of the SuperExec.
package subprocess

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Limits are what one app process may use. Zero means no limit.
type Limits struct {
	// AddressSpace in bytes (RLIMIT_AS), inherited by what the app starts.
	AddressSpace uint64
	// OpenFiles is the number of open files (RLIMIT_NOFILE).
	OpenFiles uint64
	// Nice is added to the priority number of the app: 1..19 gives way to other work.
	Nice int
}

// Executor starts apps from one Python environment. It implements executor.Executor.
type Executor struct {
	env    python.Env
	limits Limits
}

// New makes an executor. An error means that a limit cannot be applied on this system.
func New(env python.Env, limits Limits) (*Executor, error) {
	if err := limits.check(); err != nil {
		return nil, err
	}
	return &Executor{env: env, limits: limits}, nil
}

// Start implements executor.Executor.
func (e *Executor) Start(spec executor.Spec) (executor.Process, error) {
	program, err := e.env.Program(spec.Type)
	if err != nil {
		return nil, err
	}
	cmd := osexec.Command(program, spec.Args...)
	cmd.Env = append(append(os.Environ(), e.env.Environ()...), spec.Env...)
	cmd.Stdout, cmd.Stderr = spec.Output, spec.Output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	app := &app{cmd: cmd, waited: make(chan struct{})}
	if app.id, err = process.Of(cmd.Process.Pid); err != nil { // it has ended already
		app.id = process.Identity{PID: cmd.Process.Pid}
	}
	if err := e.limits.apply(cmd.Process.Pid); err != nil {
		log.Warn("an app runs without its limits", "type", spec.Type, "pid", cmd.Process.Pid, "err", err)
	}
	go app.collect()
	return app, nil
}

// Limit sets the limits of an app for a process that somebody else has started, and for
// everything that it will start.
func (e *Executor) Limit(pid int) error { return e.limits.apply(pid) }

// Attach implements executor.Executor.
func (e *Executor) Attach(handle json.RawMessage) (executor.Process, error) {
	var id process.Identity
	if err := json.Unmarshal(handle, &id); err != nil {
		return nil, fmt.Errorf("handle of an app process: %w", err)
	}
	return &app{id: id}, nil
}

// Find implements executor.Executor.
func (e *Executor) Find(tokenFile string) (executor.Process, error) {
	found, err := process.FindByArgument(tokenFile)
	if err != nil {
		return nil, err
	}
	for _, id := range found {
		// A child of the app may carry the same arguments; the app leads its group.
		if group, err := unix.Getpgid(id.PID); err == nil && group == id.PID {
			return &app{id: id}, nil
		}
	}
	return nil, os.ErrProcessDone
}

// app is one process. A child has cmd and is collected by a goroutine that ends with it;
// one that was taken back has only its identity.
type app struct {
	id  process.Identity
	cmd *osexec.Cmd

	waited chan struct{} // closed when a child was collected
	exit   task.Exit     // set before waited is closed

	mu    sync.Mutex
	timer *time.Timer // kills after the grace of Stop
	ended bool
}

func (a *app) Handle() json.RawMessage {
	handle, err := json.Marshal(a.id)
	if err != nil {
		panic(err) // an int and a string
	}
	return handle
}

// collect ends what the app left behind and records its exit status.
func (a *app) collect() {
	defer close(a.waited)
	// As long as the leader has not been collected, nobody else can get its pid, so this is the
	// moment at which it is safe to kill the group.
	if a.id.Start != "" && a.id.WaitPushed(context.Background()) == nil {
		a.end()
	}
	err := a.cmd.Wait()
	a.end() // where the kernel could not tell us
	a.exit = process.ExitOf(a.cmd.ProcessState, err)
}

func (a *app) Wait(ctx context.Context) (task.Exit, error) {
	if a.cmd != nil {
		select {
		case <-a.waited:
			return a.exit, nil
		case <-ctx.Done():
			return task.Exit{}, ctx.Err()
		}
	}
	if err := a.id.Wait(ctx); err != nil {
		return task.Exit{}, err
	}
	a.end()
	return process.UnknownExit("the process ended; its exit status is unknown, since the SuperExec that started it had ended before"), nil
}

// Stop implements executor.Process.
func (a *app) Stop(grace time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || (a.cmd == nil && !a.id.Alive()) {
		return
	}
	if err := a.id.SignalGroup(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		log.Warn("an app could not be asked to end", "pid", a.id.PID, "err", err)
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer = time.AfterFunc(grace, a.kill)
}

func (a *app) kill() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || (a.cmd == nil && !a.id.Alive()) {
		return
	}
	_ = a.id.SignalGroup(unix.SIGKILL) // it may have ended at this moment
}

// end kills what is left of the group and rules out any later signal: the pid may be reused.
func (a *app) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.ended = true
	if a.timer != nil {
		a.timer.Stop()
	}
	_ = a.id.SignalGroup(unix.SIGKILL)
}
