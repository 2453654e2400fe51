package e2e

import (
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// The versions of Flower other than the one that all the other tests use.
func TestQuickstartWithOtherVersionsOfFlower(t *testing.T) {
	for _, version := range []string{"1.40", "1.42"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := world.NewOf(t, version)
			_, link := w.Link()
			w.Nodes(testNodes)
			checkLearns(t, w.Flwr(link).Run("run", world.Example(t, "quickstart"), "test", "--stream"))
		})
	}
}
