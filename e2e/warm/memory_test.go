//go:build long

package warm

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// copies is how many processes of one app are measured at the same moment. The processes of one
// run come one after another, so these belong to as many runs.
const copies = 4

// TestMemoryOfForkServers prints the figures of docs/performance.md: the memory of a fork server
// and of its forks after they have trained, next to that of cold processes.
//
//	go test -tags long ./e2e/warm -run Memory -v
func TestMemoryOfForkServers(t *testing.T) {
	for library, version := range map[string]string{"numpy": usual, "sklearn": usual, "jax": withJAX} {
		t.Run(library, func(t *testing.T) {
			cold, _ := newFederation(t, newWorld(t, version), 1, "--cold").measure(library, false)
			warm, server := newFederation(t, newWorld(t, version), 1).measure(library, true)
			t.Logf("| %s | %s | %s | %s |", library, cold, server, warm)
		})
	}
}

// memory is that of a process in kB, as the kernel reports it: what the process sees, its share
// of that where pages are shared, and what would be free without it.
type memory struct{ rss, pss, private int }

// String returns the figures in MB.
func (m memory) String() string {
	return fmt.Sprintf("%d | %d | %d", m.rss/1000, m.pss/1000, m.private/1000)
}

// measure has processes of as many runs train at one node, and returns their mean memory and
// that of their parent.
func (f *federation) measure(library string, warm bool) (apps, parent memory) {
	f.t.Helper()
	app := f.trains(library)
	if warm {
		f.run(app, "nodes=1", "rounds=1", "until-preloaded=true")
	}
	hold := f.Path("hold")
	f.write(hold, "")
	var runs []string
	for range copies {
		runs = append(runs, f.Submit(app, "-c", fmt.Sprintf("nodes=1 rounds=1 hold=%q", hold)))
	}
	var who [][]string
	f.Eventually("all processes have trained", world.StartLimit, func() bool {
		text, _ := os.ReadFile(hold + ".who")
		who = regexp.MustCompile(`(?m)^(\d+) (\d+)$`).FindAllStringSubmatch(string(text), -1)
		return len(who) == copies
	})
	for _, process := range who {
		m := f.memoryOf(process[1])
		apps.rss, apps.pss, apps.private = apps.rss+m.rss/copies, apps.pss+m.pss/copies, apps.private+m.private/copies
	}
	parent = f.memoryOf(who[0][2])
	if err := os.Remove(hold); err != nil {
		f.t.Fatal(err)
	}
	for _, run := range runs {
		f.Run("log", run, "test", "--stream")
	}
	return apps, parent
}

func (f *federation) memoryOf(pid string) memory {
	f.t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		f.t.Fatal(err)
	}
	field := func(name string) int {
		match := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+) kB`).FindSubmatch(text)
		if match == nil {
			f.t.Fatalf("no %s in smaps_rollup of process %s", name, pid)
		}
		n, err := strconv.Atoi(string(match[1]))
		if err != nil {
			f.t.Fatal(err)
		}
		return n
	}
	return memory{rss: field("Rss"), pss: field("Pss"), private: field("Private_Clean") + field("Private_Dirty")}
}
