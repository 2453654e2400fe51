package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestTwoRunsAtOnceAndANodeThatIsNotAsked(t *testing.T) {
	w := newWorld(t)
	_, link := w.link()
	f := w.flwr(link)
	ids := w.namedNodes(f, 3)
	survey := f.submit(example(t, "multi-run", "survey"), "-c", "min-nodes=3")
	regional := f.submit(example(t, "multi-run", "regional"), "-c", `node-ids="`+ids["node0"]+","+ids["node1"]+`"`)
	surveyLog := f.run("log", survey, "test", "--stream")
	regionalLog := f.run("log", regional, "test", "--stream")

	if !strings.Contains(surveyLog, "survey total: 1797") {
		t.Errorf("survey:\n%s", tail(surveyLog, 30))
	}
	if !regexp.MustCompile(`round 3: 2 nodes, mean brightness 4\.\d+`).MatchString(regionalLog) {
		t.Errorf("regional:\n%s", tail(regionalLog, 30))
	}
	// What ran where is in the logs of the apps at each site.
	for node, wants := range map[string]bool{"node0": true, "node1": true, "node2": false} {
		if !w.ranAt(node, survey) {
			t.Errorf("%s ran nothing for the survey", node)
		}
		if got := w.ranAt(node, regional); got != wants {
			t.Errorf("%s started a process for the regional run: %v, want %v", node, got, wants)
		}
	}
}
