//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside is the environment variable that marks the process started by Enter.
const inside = "NATLAB_INSIDE"

// Available says what this machine lacks for a lab of ideal links; nil means nothing. Whether
// the kernel allows this user to have namespaces, only [Enter] finds out.
func Available() error {
	var errs []error
	for _, program := range []string{"ip", "nft", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			errs = append(errs, fmt.Errorf("natlab needs the program %s", program))
		}
	}
	return errors.Join(errs...)
}

// Shapes says what keeps this user from having links with delay, loss or a rate; nil means
// nothing. Most machines make /dev/net/tun available to everybody, some only to root.
func Shapes() error {
	if err := unix.Access(tunDevice, unix.R_OK|unix.W_OK); err != nil {
		return fmt.Errorf("natlab needs %s for links that are not ideal: %w", tunDevice, err)
	}
	return nil
}

// Enter makes room for labs that need no root and leave nothing behind: it runs this
// program again in namespaces of its own (user, mount and network), waits for it, and
// exits with its status. In that second process it returns nil. It returns an error if
// the kernel does not allow this; in that case nothing has happened, and a test may skip.
//
// Call it first in main or TestMain, before anything has a side effect.
func Enter() error {
	if Inside() {
		_ = os.Unsetenv(inside) // children may want labs of their own
		return settle()
	}
	runtime.LockOSThread() // Pdeathsig is sent when this thread ends
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("natlab needs namespaces of its own, as root or by user namespaces: %w", err)
	}
	err := cmd.Wait()
	var ended *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &ended) && ended.ExitCode() >= 0:
		os.Exit(ended.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "natlab:", err)
	os.Exit(1)
	return nil
}

// Inside tells, before Enter is called, whether this process is the second one.
func Inside() bool { return os.Getenv(inside) != "" }

// settle gives the new mount namespace a place for names that nobody outside sees.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("natlab: make mounts private: %w", err)
	}
	place := namespaces
	if _, err := os.Stat(place); err != nil {
		place = "/run" // only root may make a folder there; a mount may cover it
	}
	if err := unix.Mount("natlab", place, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("natlab: make room for namespaces in %s: %w", place, err)
	}
	return nil
}
