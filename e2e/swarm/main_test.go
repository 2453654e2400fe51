//go:build linux

package swarm

import (
	"os"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

func TestMain(m *testing.M) { os.Exit(world.MainInLab(m)) }
