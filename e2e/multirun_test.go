package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestTwoRunsAtOnceAndANodeThatIsNotAsked(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, link := w.Link()
	f := w.Flwr(link)
	ids := w.NamedNodes(f, 3)
	survey := f.Submit(world.Example(t, "multi-run", "survey"), "-c", "min-nodes=3")
	regional := f.Submit(world.Example(t, "multi-run", "regional"), "-c", `node-ids="`+ids["node0"]+","+ids["node1"]+`"`)
	surveyLog := f.Run("log", survey, "test", "--stream")
	regionalLog := f.Run("log", regional, "test", "--stream")

	if !strings.Contains(surveyLog, "survey total: 1797") {
		t.Errorf("survey:\n%s", world.Tail(surveyLog, 30))
	}
	if !regexp.MustCompile(`round 3: 2 nodes, mean brightness 4\.\d+`).MatchString(regionalLog) {
		t.Errorf("regional:\n%s", world.Tail(regionalLog, 30))
	}
	// The logs of the apps at each site show what ran there.
	for node, wants := range map[string]bool{"node0": true, "node1": true, "node2": false} {
		if !w.RanAt(node, survey) {
			t.Errorf("%s ran nothing for the survey", node)
		}
		if got := w.RanAt(node, regional); got != wants {
			t.Errorf("%s started a process for the regional run: %v, want %v", node, got, wants)
		}
	}
}
