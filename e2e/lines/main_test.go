//go:build linux

package lines

import (
	"errors"
	"os"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// entered is why labs cannot be built here, or nil.
var entered error

func TestMain(m *testing.M) {
	if entered = errors.Join(natlab.Available(), natlab.Shapes()); entered == nil {
		entered = natlab.Enter()
	}
	os.Exit(world.Main(m))
}

// everything says that `make chaos` runs, not `make test`.
func everything() bool { return os.Getenv("RHIZOME_CHAOS") != "" }
