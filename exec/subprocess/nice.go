package subprocess

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// maxNice is the lowest priority that the kernel knows.
const maxNice = 19

func (l Limits) checkNice() error {
	if l.Nice < 0 || l.Nice > maxNice {
		return fmt.Errorf("nice value %d of app processes is not in 0..%d", l.Nice, maxNice)
	}
	return nil
}

// applyNice addresses the group, so that it also applies to what the app starts.
func (l Limits) applyNice(pid int) error {
	if l.Nice == 0 {
		return nil
	}
	if err := unix.Setpriority(unix.PRIO_PGRP, pid, l.Nice); err != nil {
		return fmt.Errorf("set nice %d: %w", l.Nice, err)
	}
	return nil
}
