package e2e

import (
	"fmt"
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
	d := w.start("flower-superlink", `Uvicorn running on|Application startup complete|HTTP API`, []string{"FLWR_HOME=" + w.path("stock-link")}, w.stock("flower-superlink"), args...)
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
	return w.start("flower-superexec-"+filepath.Base(runtime), `SuperExec|superexec`, []string{"FLWR_HOME=" + w.path("stock-exec"), "FLWR_LOG_LEVEL=DEBUG"},
		w.stock("flower-superexec"), "--insecure", "--runtime-api-address", runtime)
}

func nodeConfig(i, n int) string { return fmt.Sprintf("partition-id=%d num-partitions=%d", i, n) }
