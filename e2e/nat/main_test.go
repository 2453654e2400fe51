//go:build linux

package nat

import (
	"os"
	"testing"

	harness "github.com/rhizome-fl/rhizome/e2e/world"
)

func TestMain(m *testing.M) { os.Exit(harness.MainInLab(m)) }

// recording tells whether figures are being measured for docs/connectivity.md.
func recording() bool { return os.Getenv("RHIZOME_CONNECTIVITY") != "" }

// beside runs a test that mostly waits in parallel with others, unless figures are being
// measured.
func beside(t *testing.T) {
	if !recording() {
		t.Parallel()
	}
}
