package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
)

// Stock Flower's own processes.

func (w *world) stock(program string) string { return filepath.Join(w.venv, "bin", program) }

// stockLink starts flower-superlink and returns its address.
func (w *world) stockLink(args ...string) (*daemon, string) {
	w.t.Helper()
	address := w.freeAddress()
	host, port, _ := strings.Cut(address, ":")
	args = append([]string{"--insecure", "--host", host, "--port", port, "--disable-runtime-dependency-installation"}, args...)
	d := w.start("flower-superlink", ``, []string{"FLWR_HOME=" + w.path("stock-link")}, w.stock("flower-superlink"), args...)
	w.eventually("flower-superlink serves", startLimit, func() bool {
		resp, err := http.Get("http://" + address + "/health")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return d, address
}

// stockNode starts flower-supernode for partition i of n and returns its Runtime API.
func (w *world) stockNode(link string, i, n int, args ...string) (*daemon, string) {
	w.t.Helper()
	port := w.freePort()
	name := fmt.Sprintf("flower-supernode-%d", i)
	args = append([]string{
		"--insecure", "--superlink", link, "--host", "127.0.0.1", "--port", strconv.Itoa(port),
		"--node-config", nodeConfig(i, n),
	}, args...)
	d := w.start(name, `SuperNode ID: `, []string{"FLWR_HOME=" + w.path(name)}, w.stock("flower-supernode"), args...)
	return d, "127.0.0.1:" + strconv.Itoa(port)
}

// stockExec starts flower-superexec.
func (w *world) stockExec(runtime string) *daemon {
	w.t.Helper()
	return w.start("flower-superexec-"+filepath.Base(runtime), ``, []string{"FLWR_HOME=" + w.path("stock-exec")},
		w.stock("flower-superexec"), "--insecure", "--runtime-api-address", runtime)
}

func nodeConfig(i, n int) string { return fmt.Sprintf("partition-id=%d num-partitions=%d", i, n) }
