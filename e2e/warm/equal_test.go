package warm

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// TestWarmStartsGiveTheResultsOfColdOnes trains with each library in a federation without warm
// starts and in one with them, there before and after its imports are preloaded.
func TestWarmStartsGiveTheResultsOfColdOnes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		world     func(testing.TB) *world.World
		libraries []string
	}{
		"1.41":     {world.New, []string{"numpy", "sklearn"}},
		"1.41-jax": {func(t testing.TB) *world.World { return world.NewOf(t, "1.41-jax") }, []string{"jax"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outer := t
			cold := make(map[string]lines)
			t.Run("cold", func(t *testing.T) {
				f := newFederation(t, c.world(t), testNodes, "--cold")
				for _, library := range c.libraries {
					cold[library] = f.train(library, false).of(outer)
				}
			})
			if t.Failed() || len(cold) == 0 {
				return
			}
			f := newFederation(t, c.world(t), testNodes)
			for _, library := range c.libraries {
				warm := f.train(library, true)
				checkEqual(t, library, cold[library], warm)
				checkStarts(t, library, cold[library], warm)
				checkDrawn(t, library, warm)
			}
		})
	}
}

// rounds of a training. A cold start takes 2 to 3 s of CPU with the heavy ones.
var rounds = map[string]int{"numpy": 2, "sklearn": 1, "jax": 1}

func (f *federation) train(library string, untilPreloaded bool) lines {
	f.t.Helper()
	app := f.app("trains", map[string]string{
		"trains/library.py": fmt.Sprintf("\"\"\"With what the app trains.\"\"\"\n\nLIBRARY = %q\n", library),
	})
	return f.run(app, fmt.Sprintf("rounds=%d", rounds[library]), fmt.Sprintf("until-preloaded=%t", untilPreloaded))
}

// checkEqual wants the same weights, to the last bit, and the same metrics.
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

// checkStarts wants what was compared to have been what it is called, and every training
// process to have had its pool of threads.
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
			// The process itself, the sender of heartbeats, and at least one more.
			if n := threadsOf(t, start); n < 3 {
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

// checkDrawn wants no random number twice, also among forks of one fork server.
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
