//go:build linux

package nat

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// processes returns those of a daemon: itself and all its descendants, in whatever group or
// session.
func (d *daemon) processes() []int {
	children := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The format is: pid (name) state parent ...; the name may contain anything.
		pid, _, _ := bytes.Cut(text, []byte(" "))
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		child, err1 := strconv.Atoi(string(pid))
		parent, err2 := strconv.Atoi(string(fields[1]))
		if err1 == nil && err2 == nil {
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{d.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// sleep stops all processes of a node as if its machine went to sleep: nobody is told. Unlike
// on a sleeping machine, the kernel still acknowledges what arrives by TCP, and the clock
// behind timers does not stop.
func (f *field) sleep(node *daemon) {
	f.t.Helper()
	f.t.Cleanup(func() { f.awake(node) }) // otherwise a failed test could not end it
	var asleep []int
	for found := true; found; {
		found = false
		for _, pid := range node.processes() { // there are more if one was started meanwhile
			if !slices.Contains(asleep, pid) && syscall.Kill(pid, syscall.SIGSTOP) == nil {
				asleep, found = append(asleep, pid), true
			}
		}
	}
}

// awake ends the sleep.
func (f *field) awake(node *daemon) {
	for _, pid := range node.processes() {
		_ = syscall.Kill(pid, syscall.SIGCONT) // it may have ended
	}
}
