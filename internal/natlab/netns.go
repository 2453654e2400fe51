//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespaces is where ip(8) looks up names.
const namespaces = "/run/netns"

// createNS makes a network namespace that lives as long as its name.
func createNS(name string) error {
	if err := os.MkdirAll(namespaces, 0o755); err != nil {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	path := filepath.Join(namespaces, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	_ = f.Close()
	err = onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		self := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		return unix.Mount(self, path, "none", unix.MS_BIND, "")
	})
	if err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	return nil
}

// deleteNS removes the name; the namespace disappears with its last process and socket.
func deleteNS(name string) error {
	path := filepath.Join(namespaces, name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("delete namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("delete namespace %s: %w", name, err)
	}
	return nil
}

// Clean removes the namespaces that a killed lab with this prefix left behind. The lab of a
// process that called [Enter] leaves none.
func Clean(prefix string) error {
	left, err := filepath.Glob(filepath.Join(namespaces, prefix+"-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range left {
		errs = append(errs, deleteNS(filepath.Base(path)))
	}
	return errors.Join(errs...)
}

// inNS runs f on a thread inside a namespace. Sockets that f makes and processes that it
// starts are in it; goroutines that it starts are not.
func inNS(name string, f func() error) error {
	return onOwnThread(func() error {
		fd, err := unix.Open(filepath.Join(namespaces, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open namespace %s: %w", name, err)
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter namespace %s: %w", name, err)
		}
		return f()
	})
}

// onOwnThread runs f on a thread that ends with it, so that no other goroutine ever runs
// in the namespace in which f leaves the thread.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

// tool runs a program in a namespace with the given input; its error is what the program complained about.
func tool(ns, input, program string, args ...string) error {
	return inNS(ns, func() error {
		cmd := exec.Command(program, args...)
		cmd.Stdin = strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("in %s: %s: %w: %s", ns, cmd, err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// ip runs lines of ip(8) in a namespace.
func ip(ns string, lines ...string) error {
	return tool(ns, strings.Join(lines, "\n")+"\n", "ip", "-batch", "-")
}

// sysctl sets values of a namespace's own network stack.
func sysctl(ns string, values map[string]string) error {
	return inNS(ns, func() error {
		for key, value := range values {
			path := "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
			if err := os.WriteFile(path, []byte(value), 0); err != nil {
				return fmt.Errorf("in %s: set %s: %w", ns, key, err)
			}
		}
		return nil
	})
}
