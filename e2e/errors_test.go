package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// promptly is how soon a stop, or the end of a ClientApp, is to be known everywhere.
const promptly = 2 * time.Second

func TestEndOfAClientAppIsKnownByItsCode(t *testing.T) {
	w := newWorld(t)
	_, link := w.link()
	w.nodes(1)
	f := w.flwr(link)
	for _, c := range []struct{ mode, outcome string }{
		{"ok", "outcome: ok"},
		{"load", "outcome: error 1: An exception was raised when attempting to load `ClientApp`"},
		{"raise", "outcome: error 2: <class 'ValueError'>:<'this is what was raised'>"},
		{"die", "outcome: error 8: "},
	} {
		t.Run(c.mode, func(t *testing.T) {
			p := w.probe(c.mode)
			out := f.run("run", p.dir, "test", "--stream", "-c", p.config())
			if !strings.Contains(out, c.outcome) {
				t.Fatalf("want %q in\n%s", c.outcome, tail(out, 40))
			}
			if c.mode == "load" {
				return // it fails before it can note when
			}
			failed, told := p.await("client", 1)[0].at, p.await("replies", 1)[0].at
			if took := told.Sub(failed); took > promptly {
				t.Errorf("the ServerApp knows after %v, want %v", took, promptly)
			}
		})
	}
}

func TestOutputOfClientAppsStaysAtTheirSiteUnlessShared(t *testing.T) {
	w := newWorld(t)
	_, link := w.link()
	ticket := w.ticket("--uses", "2")
	w.node(ticket, 0, 2, "--share-logs")
	w.node(ticket, 1, 2)
	p := w.probe("ok")
	out := w.flwr(link).run("run", p.dir, "test", "--stream", "-c", p.config("min-nodes=2", `say="said by an app"`))
	lines := regexp.MustCompile(`(?m)^.*said by an app.*$`).FindAllString(out, -1)
	if len(lines) != 1 || !strings.Contains(lines[0], "[node node0]") {
		t.Errorf("lines of ClientApps in the log: %q", lines)
	}
}
