// Package launch keeps a SuperExec running beside a SuperLink or a SuperNode: as a separate
// process in a session of its own, so that it and its apps outlive the program that
// started it. When that program starts again, it takes back the live SuperExec of its data
// folder, unless that was started with other arguments or from another version of the
// program; in that case a new one replaces it and takes over the apps.
//
//	          Start                      dies
//	(none) ─────────► starting ─► running ───► starting (after a pause that grows)
//	   living one found ────────────▲ │
//	                                  └── Stop ──► stopped (apps ended)   Leave ──► runs on
//
// It is not responsible for what a SuperExec does (package exec).
package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/internal/retry"
)

var log = logs.For("exec/launch")

// Options say which SuperExec is wanted.
type Options struct {
	// DataDir of the SuperExec; required, and created if missing.
	DataDir string
	// Args follow the name of the program: "exec", "--data", ... They must name DataDir.
	Args []string
	// Program is the file to run; empty means the one that is running now.
	Program string
	// Env is added to our environment, as KEY=value.
	Env []string
}

// SuperExec is the SuperExec of one data folder, restarted whenever it dies.
type SuperExec struct {
	opts Options

	cancel context.CancelFunc // ends the watch, not the process
	done   chan struct{}      // closed when the watch has ended

	mu      sync.Mutex
	current process.Identity
}

// Start takes back the live SuperExec of the folder, or starts one, and watches it until
// Stop or Leave. It returns when the SuperExec is ready; an error says why it is not, in the
// SuperExec's own words.
func Start(ctx context.Context, opts Options) (*SuperExec, error) {
	if opts.Program == "" {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find our own program: %w", err)
		}
		opts.Program = program
	}
	if err := os.MkdirAll(opts.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder of the SuperExec: %w", err)
	}
	s := &SuperExec{opts: opts, done: make(chan struct{})}
	ended, err := s.takeBackOrSpawn(ctx)
	if err != nil {
		return nil, err
	}
	watch, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go s.watch(watch, ended)
	return s, nil
}

// PID returns the process id of the SuperExec that is running now, or that ran last.
func (s *SuperExec) PID() int { return s.process().PID }

// Stop ends the SuperExec, and its apps with it, and waits for that until ctx ends or the
// SuperExec has used up stopLimit; then it is killed. The host should still answer meanwhile,
// so that the ends of the apps can be reported.
func (s *SuperExec) Stop(ctx context.Context) error {
	s.Leave()
	id := s.process()
	if err := id.Signal(unix.SIGTERM); err != nil {
		return gone(err)
	}
	patient, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if id.Wait(patient) == nil {
		return nil
	}
	log.Warn("a SuperExec does not end; killing it", "pid", id.PID)
	if err := id.Signal(unix.SIGKILL); err != nil {
		return gone(err)
	}
	return id.Wait(context.WithoutCancel(ctx))
}

// Leave stops watching; the SuperExec and its apps keep running for a successor to take back.
func (s *SuperExec) Leave() {
	s.cancel()
	<-s.done
}

func (s *SuperExec) process() process.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// watch starts the SuperExec again whenever it has ended.
func (s *SuperExec) watch(ctx context.Context, ended func(context.Context) error) {
	defer close(s.done)
	pause, next := retry.Between(restartFirst, restartMost), time.Duration(0)
	for {
		began := time.Now()
		if err := ended(ctx); err != nil {
			return
		}
		if time.Since(began) > steadyAfter {
			pause.Reset()
			next = 0
		}
		log.Warn("the SuperExec has ended; starting it again", "dir", s.opts.DataDir, "said", s.lastWords())
		for {
			if !retry.Sleep(ctx, next) {
				return
			}
			next = pause.Next()
			var err error
			if ended, err = s.takeBackOrSpawn(ctx); err == nil {
				break
			}
			log.Error("the SuperExec could not be started; trying again", "dir", s.opts.DataDir, "err", err)
		}
	}
}

func (s *SuperExec) set(id process.Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = id
}

func gone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
