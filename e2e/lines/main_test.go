//go:build linux

package lines

import (
	"os"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

func TestMain(m *testing.M) { os.Exit(world.MainInLab(m)) }

// everything tells whether `make chaos` is running rather than `make test`.
func everything() bool { return os.Getenv("RHIZOME_CHAOS") != "" }
