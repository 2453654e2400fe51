package world

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
)

// These methods start stock Flower's own processes.

// Stock is the path of a program of stock Flower.
func (w *World) Stock(program string) string { return filepath.Join(w.venv, "bin", program) }

// StockLink starts flower-superlink and returns its address.
func (w *World) StockLink(args ...string) (*Daemon, string) {
	w.t.Helper()
	address := w.FreeAddress()
	host, port, _ := strings.Cut(address, ":")
	args = append([]string{"--insecure", "--host", host, "--port", port, "--disable-runtime-dependency-installation"}, args...)
	d := w.Start("flower-superlink", ``, []string{"FLWR_HOME=" + w.Path("stock-link")}, w.Stock("flower-superlink"), args...)
	w.Eventually("flower-superlink serves", StartLimit, func() bool {
		resp, err := http.Get("http://" + address + "/health")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return d, address
}

// StockNode starts flower-supernode for partition i of n and returns the address of its
// Runtime API.
func (w *World) StockNode(link string, i, n int, args ...string) (*Daemon, string) {
	w.t.Helper()
	port := w.FreePort()
	name := fmt.Sprintf("flower-supernode-%d", i)
	args = append([]string{
		"--insecure", "--superlink", link, "--host", "127.0.0.1", "--port", strconv.Itoa(port),
		"--node-config", NodeConfig(i, n),
	}, args...)
	d := w.Start(name, `SuperNode ID: `, []string{"FLWR_HOME=" + w.Path(name)}, w.Stock("flower-supernode"), args...)
	return d, "127.0.0.1:" + strconv.Itoa(port)
}

// StockExec starts flower-superexec.
func (w *World) StockExec(runtime string) *Daemon {
	w.t.Helper()
	return w.Start("flower-superexec-"+filepath.Base(runtime), ``, []string{"FLWR_HOME=" + w.Path("stock-exec")},
		w.Stock("flower-superexec"), "--insecure", "--runtime-api-address", runtime)
}

// NodeConfig returns the node configuration for partition i of n.
func NodeConfig(i, n int) string { return fmt.Sprintf("partition-id=%d num-partitions=%d", i, n) }
