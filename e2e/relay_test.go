package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

func TestRunThroughARelay(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, relay := w.Relay()
	// The link can only be reached through the relay.
	_, link := w.LinkListening("none", "--relay", relay)
	w.Nodes(3)
	out := w.Flwr(link).Run("run", world.Example(t, "quickstart"), "test", "--stream", "-c", "min-nodes=3")
	checkLearns(t, out)
	text, err := json.Marshal(w.Status("link"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(text), "p2p-circuit"); got < 3 {
		t.Errorf("the status names %d relayed paths, want one for each node: %s", got, text)
	}
}

func TestProxyCarriesTheControlAPI(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	w.Link()
	w.Nodes(1)
	address := w.FreeAddress()
	w.Rhizome("proxy", "proxy", "--data", w.Path("proxy"), "--join", w.Ticket("--role", "operator"), "--http", address)
	f := w.Flwr(address)
	p := w.Probe("ok")
	if out := f.Run("run", p.Dir, "test", "--stream", "-c", p.Config()); !strings.Contains(out, "outcome: ok") {
		t.Errorf("run through the proxy:\n%s", world.Tail(out, 30))
	}
	checkVerbs(t, w, f)
}
