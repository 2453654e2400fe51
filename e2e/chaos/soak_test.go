//go:build long

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// The differences allowed between the early and the late runs of a soak: the Go runtime starts
// and ends goroutines of its own and returns memory when it likes, and a database opens up to
// four readers of two files each when it needs them, and keeps them.
const (
	mayGrowFiles      = 8
	mayGrowGoroutines = 8
	mayGrowRSS        = 8 << 20
	soakSamples       = 10 // at either end; their medians are compared
)

// TestSoak runs one app after another, for 20 minutes unless told otherwise, and expects the
// resources that the daemons hold not to grow.
func TestSoak(t *testing.T) {
	runs := number(t, "RHIZOME_SOAK_RUNS", 50)
	if runs < 3*soakSamples {
		t.Fatalf("RHIZOME_SOAK_RUNS=%d: want at least %d to see a trend", runs, 3*soakSamples)
	}
	slot := time.Duration(number(t, "RHIZOME_SOAK_MINUTES", 20)) * time.Minute / time.Duration(runs)
	profiles := make(map[string]string) // addresses, by daemon
	f := newFederationWith(t, killNodes, func(w *world.World, name string) []string {
		profiles[name] = w.FreeAddress()
		return []string{"--pprof", profiles[name]}
	})
	settings := []string{"rounds=3", fmt.Sprintf("nodes=%d", killNodes), "work=0.0", "size=262144"}
	want := ""
	usage := make(map[string][]world.Usage)
	next := time.NewTicker(slot)
	defer next.Stop()
	for run := range runs {
		got := f.train(fmt.Sprintf("soak-%d", run), settings...)
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("run %d gave %s, the first %s", run+1, got, want)
		}
		<-next.C // the load of a federation in use, not of a benchmark
		for name, pid := range f.soaked() {
			usage[name] = append(usage[name], world.UsageOf(t, pid, profiles[name]))
		}
	}
	f.checkNothingIsLeft()
	t.Logf("%d runs in %v\n%s", runs, slot*time.Duration(runs), trend(t, usage))
}

// TestLargeModels trains one large model for a long time, 200 rounds of 100 MB unless told
// otherwise, and expects memory and disk to stay what they were after 20 rounds.
func TestLargeModels(t *testing.T) {
	rounds := number(t, "RHIZOME_SOAK_ROUNDS", 200)
	megabytes := number(t, "RHIZOME_SOAK_MB", 100)
	if rounds < 3*soakSamples {
		t.Fatalf("RHIZOME_SOAK_ROUNDS=%d: want at least %d to see a trend", rounds, 3*soakSamples)
	}
	const nodes = 2
	profiles := make(map[string]string)
	f := newFederationWith(t, nodes, func(w *world.World, name string) []string {
		profiles[name] = w.FreeAddress()
		return []string{"--pprof", profiles[name]}
	})
	app := newSteady(t, f.World, "large")
	usage := make(map[string][]world.Usage)
	disk := make(map[string]int64) // the most that was seen, by daemon
	began := time.Now()
	runID := f.flwr.Submit(app.app(), "-c", app.config(fmt.Sprintf("rounds=%d", rounds), fmt.Sprintf("nodes=%d", nodes),
		"work=0.0", fmt.Sprintf("size=%d", megabytes*1_000_000/8)))
	for round := range rounds {
		app.await(fmt.Sprintf("round-%d", round+1), recovery)
		for name, pid := range f.soaked() {
			usage[name] = append(usage[name], world.UsageOf(t, pid, profiles[name]))
		}
		for _, d := range f.hosts() {
			disk[d.Name] = max(disk[d.Name], world.DiskUse(t, f.Path(d.Name)))
		}
	}
	if end := f.awaitEnd(runID, recovery); end.Status != "finished:completed" {
		t.Fatalf("the run is %s: %s", end.Status, end.Details)
	}
	f.checkNothingIsLeft()
	t.Logf("%d rounds of %d MB in %v; most on disk: %v\n%s", rounds, megabytes, time.Since(began).Round(time.Second), disk, trend(t, usage))
}

// soaked returns the pids of the processes that are watched.
func (f *federation) soaked() map[string]int {
	pids := make(map[string]int)
	for _, d := range f.daemons() {
		pids[d.Name] = d.PID()
	}
	for _, d := range f.hosts() {
		pids["SuperExec of "+d.Name] = f.superExec(d)
	}
	return pids
}

// trend compares the early samples with the late ones, and returns them as a table.
func trend(t *testing.T, usage map[string][]world.Usage) string {
	var b strings.Builder
	b.WriteString("| process | memory, MB | open files | goroutines |\n|---|---|---|---|\n")
	names := make([]string, 0, len(usage))
	for name := range usage {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		// The first runs fill caches and pools.
		early, late := usage[name][soakSamples:2*soakSamples], usage[name][len(usage[name])-soakSamples:]
		fmt.Fprintf(&b, "| %s |", name)
		for _, figure := range []struct {
			of      func(world.Usage) int
			mayGrow int
			unit    int
		}{
			{func(u world.Usage) int { return u.RSS }, mayGrowRSS, 1e6},
			{func(u world.Usage) int { return u.Files }, mayGrowFiles, 1},
			{func(u world.Usage) int { return u.Goroutines }, mayGrowGoroutines, 1},
		} {
			was, is := median(early, figure.of), median(late, figure.of)
			if is > was+figure.mayGrow {
				t.Errorf("%s has grown from %d to %d", name, was, is)
			}
			fmt.Fprintf(&b, " %.3g → %.3g |", float64(was)/float64(figure.unit), float64(is)/float64(figure.unit))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func median(samples []world.Usage, of func(world.Usage) int) int {
	var values []int
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
