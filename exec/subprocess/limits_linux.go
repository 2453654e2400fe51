package subprocess

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

func (l Limits) check() error { return l.checkNice() }

// apply sets the limits of a process that has just been started, before Python has read
// its first module.
func (l Limits) apply(pid int) error {
	var errs []error
	for _, limit := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"address space", unix.RLIMIT_AS, l.AddressSpace},
		{"open files", unix.RLIMIT_NOFILE, l.OpenFiles},
	} {
		if limit.value == 0 {
			continue
		}
		set := unix.Rlimit{Cur: limit.value, Max: limit.value}
		if err := unix.Prlimit(pid, limit.resource, &set, nil); err != nil {
			errs = append(errs, fmt.Errorf("limit %s to %d: %w", limit.name, limit.value, err))
		}
	}
	return errors.Join(append(errs, l.applyNice(pid))...)
}
