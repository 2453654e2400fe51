package daemon

import (
	"context"
	"errors"
	"fmt"
)

// Daemon is what a daemon consists of. The zero value has nothing open and no parts. Steps
// and parts are declared by one goroutine, and none are added while Run is running.
type Daemon struct {
	closers     []func() error // in the order of opening
	inner, edge []part
}

// Step is a named step of opening. It passes the release of whatever it opens to [Daemon.Opened],
// which may be called several times in one step.
type Step struct {
	Name string
	Open func(ctx context.Context) error
}

// Open takes the steps in order. If one fails, everything opened so far is released, including
// what the steps of earlier calls have opened.
func (d *Daemon) Open(ctx context.Context, steps ...Step) error {
	for _, step := range steps {
		if err := step.Open(ctx); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", step.Name, err), d.Close())
		}
	}
	return nil
}

// Opened records how to release what was just opened.
func (d *Daemon) Opened(release func() error) { d.closers = append(d.closers, release) }

// Close releases everything that was opened, last opened first, and reports everything that went
// wrong. Run must have returned. Closing again does nothing.
func (d *Daemon) Close() error {
	var errs []error
	for len(d.closers) > 0 {
		last := len(d.closers) - 1
		release := d.closers[last]
		d.closers = d.closers[:last]
		errs = append(errs, release())
	}
	return errors.Join(errs...)
}
