package warm

import (
	"os"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m)) }
