//go:build linux && long

package lines

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
)

// This is the other half-open connection: the link dies with all its state, without a word to
// anybody, and starts again at once. Nodes on every kind of path believe that it is still
// alive, and so does the relay.
func TestLinkDiesSilently(t *testing.T) {
	var cells []cell
	for _, p := range paths {
		cells = append(cells, cell{good, p})
	}
	f := newField(t, cells)
	var ids []uint64
	for i := range cells {
		f.node(f.World, siteOf(i), i)
	}
	for i, c := range cells {
		ids = append(ids, f.awaitNode(t, siteOf(i), c.path.direct).ID)
	}
	want, _ := f.await(t, f.submit(f.World, "undisturbed", usual, ids...))

	x := &trial{field: f, t: t, w: f.World, site: siteOf(0)}
	x.run = f.submit(f.World, "disturbed", usual, ids...)
	x.reach(modelComes)
	x.must(f.lab.Forget(hub)) // holds back what the kernel says for the dead link
	f.link.Kill()
	f.link.Launch()

	// The command that followed the run may have ended along with the link.
	id := startedRun.FindStringSubmatch(x.run.Output())[1]
	world.Eventually(t, "the end of the run", runLimit, look, func() bool {
		var status linkadmin.Status
		return ask(f.World, f.link.Name, &status) && slices.ContainsFunc(status.Runs, func(r linkadmin.RunStatus) bool {
			return fmt.Sprint(r.ID) == id && strings.HasPrefix(r.Status, "finished:")
		})
	})
	output, err := os.ReadFile(f.Path(f.link.Name, "superexec", "logs", id, "flwr-serverapp.log"))
	x.must(err)
	if got := world.WeightsHash(t, string(output)); got != want {
		t.Errorf("the weights are %s, undisturbed %s", got, want)
	}
	if errors := errorLine.FindAllString(string(output), -1); len(errors) > 0 {
		t.Errorf("the ServerApp got errors: %q", errors)
	}
	for i, id := range ids {
		if n := f.sees(t, siteOf(i)); n.ID != id {
			t.Errorf("node %d is %d after it", id, n.ID)
		}
	}
}

// startedRun finds the id in the output of flwr run, which prints it before a run can do
// anything.
var startedRun = regexp.MustCompile(`started run (\d+)`)
