package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// startOf joins the boot of the machine and the start time in clock ticks since that boot.
func startOf(pid int) (string, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return "", os.ErrProcessDone
	}
	if err != nil {
		return "", err
	}
	state, threads, ticks, err := parseStat(stat)
	if err != nil {
		return "", err
	}
	// The first thread may have ended while others run on, and with them the process still
	// holds its files and locks.
	if state == "X" || state == "Z" && threads <= 1 {
		return "", os.ErrProcessDone
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(boot)) + "/" + ticks, nil
}

// parseStat picks the state (field 3), the number of threads (20) and the start time (22)
// out of /proc/PID/stat. The name of the program, field 2, is in parentheses and may contain
// anything.
func parseStat(stat []byte) (state string, threads int, startTicks string, err error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return "", 0, "", fmt.Errorf("stat of process has no program name: %q", stat)
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 20 {
		return "", 0, "", fmt.Errorf("stat of process has %d fields after the name, want 20", len(fields))
	}
	if threads, err = strconv.Atoi(string(fields[17])); err != nil {
		return "", 0, "", fmt.Errorf("stat of process: number of threads: %w", err)
	}
	return string(fields[0]), threads, string(fields[19]), nil
}

// WaitPushed is Wait where the kernel reports the end, and returns ErrNoPush immediately where
// it does not. It waits on a pidfd through the runtime's poller: no thread, no timer.
func (id Identity) WaitPushed(ctx context.Context) error {
	fd, err := unix.PidfdOpen(id.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return ErrNoPush // a kernel before 5.10, or a sandbox without pidfds
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	defer file.Close()
	if !id.Alive() { // looked at after the pidfd was taken: from here on it means our process
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := file.SyscallConn()
	if err != nil {
		return ErrNoPush
	}
	err = raw.Read(func(fd uintptr) bool {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && ready > 0
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return ErrNoPush
	}
}

// FindByArgument names the processes that have argument among their arguments. It is used to
// find an app whose start was not written down in time.
func FindByArgument(argument string) ([]Identity, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []Identity
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		if err != nil {
			continue // ended meanwhile, or not ours to see
		}
		for arg := range bytes.SplitSeq(line, []byte{0}) {
			if string(arg) == argument {
				if id, err := Of(pid); err == nil {
					found = append(found, id)
				}
				break
			}
		}
	}
	return found, nil
}
