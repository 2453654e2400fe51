package subprocess

import "errors"

func (l Limits) check() error {
	if l.AddressSpace != 0 || l.OpenFiles != 0 {
		return errors.New("limits of address space and open files cannot be set for app processes on this system")
	}
	return l.checkNice()
}

func (l Limits) apply(pid int) error { return l.applyNice(pid) }
