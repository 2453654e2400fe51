// Package launch keeps a SuperExec running beside a SuperLink or a SuperNode: as a separate
// process in a session of its own, so that it and its apps outlive the program that
// started it. A program that starts again takes back the living SuperExec of its data
// folder, unless that one was started with other arguments or from another version of the
// program; then a new one replaces it and takes over the apps.
//
//	          Start                      dies
//	(none) ─────────► starting ─► running ───► starting (after a pause that grows)
//	   living one found ────────────▲ │
//	                                  └── Stop ──► stopped (apps ended)   Leave ──► runs on
//
// It is not responsible for what a SuperExec does (package exec).
package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/exec/process"
)

var log = logging.Logger("exec/launch")

// Options say which SuperExec is wanted.
type Options struct {
	// DataDir of the SuperExec; required, made if needed.
	DataDir string
	// Args follow the name of the program: "exec", "--data", ... They must name DataDir.
	Args []string
	// Program is the file to run; empty for the one that is running now.
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

// Start takes back the living SuperExec of the folder or starts one, and watches it until
// Stop or Leave. It returns when the SuperExec is ready; an error says, in the SuperExec's
// own words, why it is not.
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

// PID of the SuperExec that runs now, or that ran last.
func (s *SuperExec) PID() int { return s.process().PID }

// Stop ends the SuperExec and with it its apps, and waits for that until ctx ends or until
// the SuperExec has used up stopLimit; then it is killed. The host should still answer
// while it is called, so that the ends of the apps can be reported.
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
	log.Warnf("SuperExec %d does not end and is killed", id.PID)
	if err := id.Signal(unix.SIGKILL); err != nil {
		return gone(err)
	}
	return id.Wait(context.WithoutCancel(ctx))
}

// Leave stops to watch; the SuperExec and its apps run on, for a successor to take back.
func (s *SuperExec) Leave() {
	s.cancel()
	<-s.done
}

func (s *SuperExec) process() process.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// watch starts the SuperExec anew whenever it has ended.
func (s *SuperExec) watch(ctx context.Context, ended func(context.Context) error) {
	defer close(s.done)
	pause := time.Duration(0)
	for {
		began := time.Now()
		if err := ended(ctx); err != nil {
			return
		}
		if time.Since(began) > steadyAfter {
			pause = 0
		}
		log.Warnf("the SuperExec in %s has ended; starting it again: %s", s.opts.DataDir, s.lastWords())
		for {
			if !sleep(ctx, pause) {
				return
			}
			pause = min(max(2*pause, restartFirst), restartMost)
			var err error
			if ended, err = s.takeBackOrSpawn(ctx); err == nil {
				break
			}
			log.Error(err)
		}
	}
}

// takeBackOrSpawn returns a function that waits for the end of the process.
func (s *SuperExec) takeBackOrSpawn(ctx context.Context) (func(context.Context) error, error) {
	living, err := readCard(s.opts.DataDir)
	if err != nil {
		return nil, err
	}
	if living.Process.Alive() {
		if living.suits(s.opts.Program, s.opts.Args) {
			s.set(living.Process)
			return living.Process.Wait, nil
		}
		// Killed, not asked to end, since its apps shall live.
		log.Infof("replace SuperExec %d, which was started with other arguments or from another version", living.Process.PID)
		if err := living.Process.Signal(unix.SIGKILL); gone(err) != nil {
			return nil, fmt.Errorf("replace SuperExec %d: %w", living.Process.PID, err)
		}
		if err := living.Process.Wait(ctx); err != nil {
			return nil, fmt.Errorf("replace SuperExec %d: %w", living.Process.PID, err)
		}
	}
	return s.spawn(ctx)
}

// spawn starts a process and waits until it says that it is ready.
func (s *SuperExec) spawn(ctx context.Context) (func(context.Context) error, error) {
	words, err := s.openLog()
	if err != nil {
		return nil, err
	}
	defer words.Close()
	cmd := osexec.Command(s.opts.Program, s.opts.Args...)
	cmd.Env = append(os.Environ(), s.opts.Env...)
	cmd.Stderr = words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said, saying, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start a SuperExec: %w", err)
	}
	cmd.Stdout = saying
	err = cmd.Start()
	_ = saying.Close()
	if err != nil {
		_ = said.Close()
		return nil, fmt.Errorf("start a SuperExec: %w", err)
	}
	id, err := process.Of(cmd.Process.Pid)
	if err == nil {
		err = awaitReady(ctx, said)
	}
	collected := make(chan struct{})
	go func() { // ends with the process
		defer close(collected)
		defer said.Close() // not before: it would die of what it says into a closed pipe
		_ = cmd.Wait()
	}()
	if err != nil {
		giveUp(cmd.Process, collected)
		return nil, fmt.Errorf("start a SuperExec: %w: %s", err, s.lastWords())
	}
	s.set(id)
	return func(ctx context.Context) error {
		select {
		case <-collected:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil
}

// giveUp ends a SuperExec that did not get ready. It is asked first: one that is killed
// leaves its fork server, which ends only when it has done its imports.
func giveUp(p *os.Process, collected <-chan struct{}) {
	_ = p.Signal(unix.SIGTERM)
	patience := time.NewTimer(stopLimit)
	defer patience.Stop()
	select {
	case <-collected:
	case <-patience.C:
		_ = p.Kill()
		<-collected
	}
}

func (s *SuperExec) set(id process.Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = id
}

// awaitReady reads the first line, the only one that a SuperExec says on stdout.
func awaitReady(ctx context.Context, said *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = said.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(said, maxReadyLine)).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("it does not get ready: %w", ctx.Err())
	case err != nil:
		return errors.New("it ended before it was ready")
	case !strings.HasPrefix(line, "ready "):
		return fmt.Errorf("it said %q instead of being ready", strings.TrimSpace(line))
	}
	return nil
}

// openLog opens the file for what the SuperExec itself has to say, after setting aside one
// that has grown.
func (s *SuperExec) openLog() (*os.File, error) {
	path := s.logFile()
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("log of the SuperExec: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of the SuperExec: %w", err)
	}
	return file, nil
}

func (s *SuperExec) logFile() string { return filepath.Join(s.opts.DataDir, "superexec.log") }

// lastWords is the last line of the SuperExec's log.
func (s *SuperExec) lastWords() string {
	file, err := os.Open(s.logFile())
	if err != nil {
		return "it left no log"
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > maxWords {
		_, _ = file.Seek(-maxWords, io.SeekEnd)
	}
	tail, _ := io.ReadAll(io.LimitReader(file, maxWords))
	lines := strings.Split(strings.TrimSpace(string(tail)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return "see " + s.logFile()
}

func gone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
