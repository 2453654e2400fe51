package guard

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// inside marks the second process of TestMain.
const inside = "RHIZOME_GUARD_INSIDE"

// noMounts is why file systems cannot be mounted here; it is nil if they can.
var noMounts error

// TestMain runs the tests in their own mount namespace, where a full disk needs no root and
// leaves nothing behind.
func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		code, err := enter()
		if err == nil {
			os.Exit(code)
		}
		noMounts = err
	} else {
		_ = os.Unsetenv(inside)
		noMounts = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	os.Exit(world.Main(m))
}

// enter runs this program again in the namespace and returns its exit code.
func enter() (code int, err error) {
	runtime.LockOSThread() // Pdeathsig is sent when this thread ends
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("no mount namespace: %w", err)
	}
	err = cmd.Wait()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(ended.ExitCode(), 1), nil
	}
	return 0, err
}
