package warm

import (
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWarmStartsGiveTheResultsOfColdOnes trains with each library in a federation without warm
// starts and in one with them, in the latter before and after its imports are preloaded.
func TestWarmStartsGiveTheResultsOfColdOnes(t *testing.T) {
	t.Parallel()
	for version, libraries := range map[string][]string{usual: {"numpy", "sklearn"}, withJAX: {"jax"}} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			outer := t
			cold := make(map[string]lines)
			t.Run("cold", func(t *testing.T) {
				f := newFederation(t, newWorld(t, version), testNodes, "--cold")
				for _, library := range libraries {
					cold[library] = f.train(library, false).of(outer)
				}
			})
			if t.Failed() || len(cold) == 0 {
				return
			}
			f := newFederation(t, newWorld(t, version), testNodes)
			for _, library := range libraries {
				warm := f.train(library, true)
				checkEqual(t, library, cold[library], warm)
				checkStarts(t, library, cold[library], warm)
				checkDrawn(t, library, warm)
			}
		})
	}
}

// train runs the app once: a cold start takes 1 to 3 s of CPU, so there is one round.
func (f *federation) train(library string, untilPreloaded bool) lines {
	f.t.Helper()
	return f.run(f.trains(library), "rounds=1", fmt.Sprintf("until-preloaded=%t", untilPreloaded))
}

// trains returns the app that trains with a library.
func (f *federation) trains(library string) string {
	f.t.Helper()
	return f.app("trains", map[string]string{
		"trains/library.py": fmt.Sprintf("\"\"\"With what the app trains.\"\"\"\n\nLIBRARY = %q\n", library),
	})
}

// checkEqual expects the same weights, to the last bit, and the same metrics.
func checkEqual(t *testing.T, library string, cold, warm lines) {
	t.Helper()
	for _, what := range []string{"weights:", "metrics:"} {
		want := cold.all("first " + what)
		for _, training := range []string{"first ", "second "} {
			if got := warm.all(training + what); !slices.Equal(got, want) {
				t.Errorf("%s: %straining gave the %s\n%s\ncold starts\n%s", library, training, what, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// checkStarts expects that the runs called cold and warm really were, and that every training
// process had its pool of threads.
func checkStarts(t *testing.T, library string, cold, warm lines) {
	t.Helper()
	for _, c := range []struct {
		starts []string
		want   string
	}{
		{cold.all("first start:"), `\('warm', False\)`},
		{warm.all("first start:"), `\('warm', True\)`},
		{warm.all("second start:"), `\('preloaded', True\).*\('warm', True\)`},
	} {
		for _, start := range c.starts {
			if !regexp.MustCompile(c.want).MatchString(start) {
				t.Errorf("%s: a process was started with %s, want %s", library, start, c.want)
			}
			// There are the main thread, the sender of heartbeats, and at least one more; BLAS has
			// none of its own where there is one core.
			if n := threadsOf(t, start); n < 3 && runtime.NumCPU() > 1 {
				t.Errorf("%s: a process with %d threads has no pool: %s", library, n, start)
			}
		}
	}
}

func threadsOf(t *testing.T, start string) int {
	t.Helper()
	match := regexp.MustCompile(`\('threads', (\d+)\)`).FindStringSubmatch(start)
	if match == nil {
		t.Fatalf("no number of threads in %s", start)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkDrawn expects no random number twice, not even among the forks of one fork server.
func checkDrawn(t *testing.T, library string, warm lines) {
	t.Helper()
	drawn := warm.all("drawn:")
	if len(drawn) < 2*testNodes*5 {
		t.Fatalf("%s: %d numbers were drawn, want those of two processes of each node", library, len(drawn))
	}
	slices.Sort(drawn)
	if n := len(slices.Compact(slices.Clone(drawn))); n != len(drawn) {
		t.Errorf("%s: %d of %d random numbers came twice:\n%s", library, len(drawn)-n, len(drawn), strings.Join(drawn, "\n"))
	}
}
