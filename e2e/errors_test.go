package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// promptly is how soon a stop, or the end of a ClientApp, must be known everywhere.
const promptly = 2 * time.Second

func TestEndOfAClientAppIsKnownByItsCode(t *testing.T) {
	w := world.New(t)
	_, link := w.Link()
	w.Nodes(1)
	f := w.Flwr(link)
	for _, c := range []struct{ mode, outcome string }{
		{"ok", "outcome: ok"},
		{"load", "outcome: error 1: An exception was raised when attempting to load `ClientApp`"},
		{"raise", "outcome: error 2: <class 'ValueError'>:<'this is what was raised'>"},
		{"die", "outcome: error 8: "},
	} {
		t.Run(c.mode, func(t *testing.T) {
			p := w.Probe(c.mode)
			out := f.Run("run", p.Dir, "test", "--stream", "-c", p.Config())
			if !strings.Contains(out, c.outcome) {
				t.Fatalf("want %q in\n%s", c.outcome, world.Tail(out, 40))
			}
			if c.mode == "load" {
				return // it fails before it can record the time
			}
			failed, told := p.Await("client", 1)[0].At, p.Await("replies", 1)[0].At
			if took := told.Sub(failed); took > promptly {
				t.Errorf("the ServerApp knows after %v, want %v", took, promptly)
			}
		})
	}
}

func TestOutputOfClientAppsStaysAtTheirSiteUnlessShared(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, link := w.Link()
	ticket := w.Ticket("--uses", "2")
	w.Node(ticket, 0, 2, "--share-logs")
	w.Node(ticket, 1, 2)
	p := w.Probe("ok")
	out := w.Flwr(link).Run("run", p.Dir, "test", "--stream", "-c", p.Config("min-nodes=2", `say="said by an app"`))
	lines := regexp.MustCompile(`(?m)^.*said by an app.*$`).FindAllString(out, -1)
	if len(lines) != 1 || !strings.Contains(lines[0], "[node node0]") {
		t.Errorf("lines of ClientApps in the log: %q", lines)
	}
}

func TestLastLinesOfAClientAppAreSharedToo(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, link := w.Link()
	w.Node(w.Ticket(), 0, 1, "--share-logs")
	f := w.Flwr(link)
	p := w.Probe("part")
	run := f.Submit(p.Dir, "-c", p.Config())
	w.Eventually("the log has what the ClientApp said last", world.RunLimit, func() bool {
		return strings.Contains(f.Run("log", run, "test", "--show"), "[node node0] said while leaving")
	})
}
