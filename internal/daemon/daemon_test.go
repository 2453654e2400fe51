package daemon

import (
	"context"
	"errors"
	"slices"
	"testing"
)

var errBroken = errors.New("broken")

// journal records what happened in which order.
type journal []string

func (j *journal) step(d *Daemon, name string) Step {
	return Step{name, func(context.Context) error {
		*j = append(*j, "open "+name)
		d.Opened(func() error { *j = append(*j, "close "+name); return nil })
		return nil
	}}
}

func (j journal) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(j, want) {
		t.Errorf("happened:\n%q\nwant:\n%q", j, want)
	}
}

func TestWhatWasOpenedLastIsClosedFirst(t *testing.T) {
	var d Daemon
	var j journal
	if err := d.Open(t.Context(), j.step(&d, "disk"), j.step(&d, "network"), j.step(&d, "HTTP")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // closing again does nothing
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j.want(t, "open disk", "open network", "open HTTP", "close HTTP", "close network", "close disk")
}

func TestFailedStepIsNamedAndLeavesNothingOpen(t *testing.T) {
	var d Daemon
	var j journal
	err := d.Open(t.Context(), j.step(&d, "disk"), j.step(&d, "network"),
		Step{"HTTP", func(context.Context) error {
			d.Opened(func() error { j = append(j, "close half of HTTP"); return nil })
			return errBroken
		}},
		j.step(&d, "never"))
	if !errors.Is(err, errBroken) || err.Error() != "HTTP: broken" {
		t.Errorf("error: %v", err)
	}
	j.want(t, "open disk", "open network", "close half of HTTP", "close network", "close disk")
}

func TestEveryCloserIsCalledWhateverTheOthersSay(t *testing.T) {
	var d Daemon
	var j journal
	if err := d.Open(t.Context(), j.step(&d, "disk")); err != nil {
		t.Fatal(err)
	}
	other := errors.New("also broken")
	d.Opened(func() error { return errBroken })
	d.Opened(func() error { return other })
	if err := d.Close(); !errors.Is(err, errBroken) || !errors.Is(err, other) {
		t.Errorf("error: %v", err)
	}
	j.want(t, "open disk", "close disk")
}
