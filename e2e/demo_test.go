package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// demoStops is how soon an interrupted demo must have ended, along with everything it
// started.
const demoStops = 15 * time.Second

func TestDemoShowsAFederationAndLeavesNothing(t *testing.T) {
	w := world.New(t)
	d, temp := startDemo(t, w, `nothing is kept`)
	w.Eventually("the demo ends", demoStops, d.Ended)
	checkNothingLeft(t, w, temp)

	out := d.Output()
	checkLearns(t, out)
	_, summary, _ := strings.Cut(out, "ROUND  ACCURACY  LOSS\n")
	for _, line := range []string{`1 +0\.\d+ +\d+\.\d+`, `3 +0\.\d+ +\d+\.\d+`, `node1 +through relay 12D3KooW\w+`, `node3 +through relay 12D3KooW\w+`, `The run took [\d.]+ s, everything [\d.]+ s`} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(summary) {
			t.Errorf("the summary shows no %q:\n%s", line, world.Tail(out, 20))
		}
	}
}

func TestInterruptedDemoLeavesNothing(t *testing.T) {
	for name, moment := range map[string]string{
		"link":  `starting the SuperLink`,
		"nodes": `starting 3 SuperNodes`,
		"flwr":  `the federation is up`,
		"round": `ROUND 1/3`,
	} {
		t.Run(name, func(t *testing.T) {
			w := world.New(t)
			d, temp := startDemo(t, w, moment)
			d.Interrupt()
			w.Eventually("the demo ends", demoStops, d.Ended)
			checkNothingLeft(t, w, temp)
			if out := world.Tail(d.Output(), 1); out != "rhizome: interrupted" {
				t.Errorf("the last line is %q", out)
			}
		})
	}
}

// startDemo starts the demo with its own folder for temporary files, and waits until it has
// printed something.
func startDemo(t *testing.T, w *world.World, said string) (d *world.Daemon, temp string) {
	t.Helper()
	temp = w.Path("tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	args := []string{"demo", "--app", world.Example(t, "quickstart"), "--python", w.Venv()}
	return w.Start("demo", said, []string{"TMPDIR=" + temp}, world.Binary(t), args...), temp
}

func checkNothingLeft(t *testing.T, w *world.World, temp string) {
	t.Helper()
	if left := w.Processes(); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v (%v)", left, err)
	}
}
