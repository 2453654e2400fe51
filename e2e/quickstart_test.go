package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

const testNodes = 2

// onStock runs the quickstart on stock Flower alone and returns its output.
func onStock(t *testing.T) string {
	t.Helper()
	w := world.New(t)
	_, link := w.StockLink()
	for i := range testNodes {
		w.StockNode(link, i, testNodes)
	}
	return w.Flwr(link).Run("run", world.Example(t, "quickstart"), "test", "--stream")
}

// onRhizome runs the quickstart on Rhizome alone.
func onRhizome(t *testing.T) string {
	t.Helper()
	w := world.New(t)
	_, link := w.Link()
	w.Nodes(testNodes)
	return w.Flwr(link).Run("run", world.Example(t, "quickstart"), "test", "--stream")
}

var accuracy = regexp.MustCompile(`round (\d+): accuracy (0\.\d+), loss`)

// checkLearns expects an accuracy for each round, and that it grows to something useful.
func checkLearns(t *testing.T, output string) {
	t.Helper()
	rounds := accuracy.FindAllStringSubmatch(output, -1)
	if len(rounds) != 3 {
		t.Fatalf("%d rounds told their accuracy, want 3:\n%s", len(rounds), world.Tail(output, 60))
	}
	if first, last := rounds[0][2], rounds[2][2]; strings.Compare(last, first) <= 0 || last < "0.75" {
		t.Errorf("accuracy goes from %s to %s", first, last)
	}
}

func TestQuickstartHasTheWeightsOfStockFlower(t *testing.T) {
	t.Parallel()
	var stock, ours string
	t.Run("run", func(t *testing.T) {
		t.Run("stock", func(t *testing.T) {
			t.Parallel()
			stock = onStock(t)
			checkLearns(t, stock)
		})
		t.Run("rhizome", func(t *testing.T) {
			t.Parallel()
			ours = onRhizome(t)
			checkLearns(t, ours)
		})
	})
	if t.Failed() {
		return
	}
	if a, b := world.WeightsHash(t, stock), world.WeightsHash(t, ours); a != b {
		t.Errorf("final weights differ: stock %s, Rhizome %s", a, b)
	}
}
