package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Identity names one process for as long as the machine's records last. The zero value names
// none. It is comparable and survives JSON.
type Identity struct {
	PID int `json:"pid"`
	// Start tells this process apart from others that had or will have the same PID. It is opaque.
	Start string `json:"start"`
}

// Of names the running process with this pid. The error is os.ErrProcessDone if there is
// none, or if it is only waiting to be collected by its parent.
func Of(pid int) (Identity, error) {
	if pid <= 0 {
		return Identity{}, fmt.Errorf("process id %d: %w", pid, os.ErrProcessDone)
	}
	start, err := startOf(pid)
	if err != nil {
		return Identity{}, fmt.Errorf("process id %d: %w", pid, err)
	}
	return Identity{PID: pid, Start: start}, nil
}

// Self names the calling process.
func Self() (Identity, error) { return Of(os.Getpid()) }

// Alive tells whether the process is still running.
func (id Identity) Alive() bool {
	now, err := Of(id.PID)
	return err == nil && now == id
}

// Wait returns nil as soon as the process has ended, immediately if it already has, or the
// error of ctx. The process need not be a child; if it is one, Wait does not collect it.
func (id Identity) Wait(ctx context.Context) error {
	if !id.Alive() {
		return nil
	}
	if err := id.WaitPushed(ctx); !errors.Is(err, ErrNoPush) {
		return err
	}
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for id.Alive() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// Signal sends sig to the process, if it is still that process.
func (id Identity) Signal(sig unix.Signal) error {
	if !id.Alive() {
		return os.ErrProcessDone
	}
	return gone(unix.Kill(id.PID, sig))
}

// SignalGroup sends sig to all processes of the group that the process leads, even if the
// leader itself has ended but has not been collected yet. The caller must know that the
// process was started as leader of a group. A fork that is about to become one has started
// nothing yet, and gets the signal alone.
func (id Identity) SignalGroup(sig unix.Signal) error {
	if id.PID <= 1 {
		return os.ErrProcessDone
	}
	if err := unix.Kill(-id.PID, sig); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return id.Signal(sig)
}

// ErrNoPush: this system cannot notify us of the end of a process before it is collected.
var ErrNoPush = errors.New("this system does not report the end of a process")

func gone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
