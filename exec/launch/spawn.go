package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/exec/process"
)

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
		// It is killed, not asked to end, since its apps are to live on.
		log.Info("replacing the SuperExec, which was started with other arguments or from another version", "pid", living.Process.PID)
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
		defer said.Close() // not earlier: it would die when writing to a closed pipe
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

// giveUp ends a SuperExec that did not get ready. It is asked to end first: one that is killed
// leaves its fork server behind, which ends only when it has done its imports.
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

// awaitReady reads the first line, which is the only one that a SuperExec writes to stdout.
func awaitReady(ctx context.Context, said *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = said.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(said, maxReadyLine)).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("it did not get ready: %w", ctx.Err())
	case err != nil:
		return errors.New("it ended before it was ready")
	case !strings.HasPrefix(line, "ready "):
		return fmt.Errorf("it said %q instead of being ready", strings.TrimSpace(line))
	}
	return nil
}
