package warm

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// TestWhatChangesIsReadAnew upgrades a package under a running federation that has it
// preloaded, and then runs the app with different code under the same name and version.
func TestWhatChangesIsReadAnew(t *testing.T) {
	t.Parallel()
	env := newEnvironment(t, world.New(t).Venv())
	env.install("helper", 1)
	f := newFederation(t, world.NewIn(t, env.root), 1)
	app := f.app("trains", map[string]string{
		"trains/library.py":     "\"\"\"With what the app trains.\"\"\"\n\nLIBRARY = \"helper\"\n",
		"trains/with_helper.py": withHelper(1),
	})
	// The app goes on until it finds the package preloaded.
	checkReleases(t, f.run(app, "nodes=1", "rounds=1", "until-preloaded=true"), 1, 1)
	env.install("helper", 2)
	checkReleases(t, f.run(app, "nodes=1", "rounds=1"), 1, 2)
	f.write(filepath.Join(app, "trains", "with_helper.py"), withHelper(2))
	checkReleases(t, f.run(app, "nodes=1", "rounds=1"), 2, 2)
}

// withHelper returns a release of an engine for the app that reports what it is made of.
func withHelper(release int) string {
	return fmt.Sprintf(`"""Learns nothing."""

import helper


def train(weights, partition, partitions, turn):
    """Tell the releases."""
    return weights, {"app": %d, "helper": helper.RELEASE}
`, release)
}

// checkReleases expects all processes to have had these releases of app and package.
func checkReleases(t *testing.T, out lines, app, helper int) {
	t.Helper()
	want := fmt.Sprintf("('app', %d), ('helper', %d)", app, helper)
	for _, metrics := range out.all("first metrics:") {
		if !strings.Contains(metrics, want) {
			t.Errorf("a process told %s, want %s", metrics, want)
		}
	}
}
