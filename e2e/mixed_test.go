package e2e

import (
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

func TestStockAndRhizomeNodesServeOneRun(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, link := w.Link("--fleet-http")
	w.Node(w.Ticket(), 0, 2)
	w.StockNode(link, 1, 2)
	out := w.Flwr(link).Run("run", world.Example(t, "quickstart"), "test", "--stream")
	checkLearns(t, out)
	t.Log("final weights ", world.WeightsHash(t, out))
}

func TestStockNodesNeedLeave(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, link := w.Link()
	d := w.Start("flower-supernode", ``, []string{"FLWR_HOME=" + w.Path("stock-node")}, w.Stock("flower-supernode"),
		"--insecure", "--superlink", link, "--host", "127.0.0.1", "--port", itoa(w.FreePort()), "--max-retries", "1")
	w.Eventually("the stock node gives up", world.StartLimit, d.Ended)
	if nodes := w.Flwr(link).NodeIDs(); len(nodes) > 0 {
		t.Errorf("a stock node joined a link without --fleet-http: %v", nodes)
	}
}

func TestStockSuperExecServesBothRuntimeAPIs(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, link := w.Link("--isolation", "process")
	w.StockExec(link)
	for _, node := range w.Nodes(testNodes, "--isolation", "process") {
		w.StockExec(w.RuntimeAddress(node))
	}
	checkLearns(t, w.Flwr(link).Run("run", world.Example(t, "quickstart"), "test", "--stream"))
	if ours := w.Processes("rhizome", " exec "); len(ours) > 0 {
		t.Errorf("a SuperExec of ours took part: %v", ours)
	}
}

func TestOurSuperExecServesStockFlower(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, link := w.StockLink("--isolation", "process")
	w.SuperExec(link)
	for i := range testNodes {
		_, runtime := w.StockNode(link, i, testNodes, "--isolation", "process")
		w.SuperExec(runtime)
	}
	checkLearns(t, w.Flwr(link).Run("run", world.Example(t, "quickstart"), "test", "--stream"))
	if stock := w.Processes("flower-superexec"); len(stock) > 0 {
		t.Errorf("a stock SuperExec took part: %v", stock)
	}
}
