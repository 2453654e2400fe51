//go:build linux

package nat

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// venv is the Python environment for apps.
func venv(t *testing.T) string {
	t.Helper()
	path := os.Getenv("RHIZOME_TEST_VENV")
	if path == "" {
		path = filepath.Join("..", "..", ".venv", "flwr-1.41")
	}
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(filepath.Join(path, "bin", "flwr"))
	}
	if err != nil {
		t.Fatalf("no flwr in %s: run \"make venv\", or name an environment with RHIZOME_TEST_VENV", path)
	}
	return path
}

// running is a stock `flwr run --stream` on the link's host.
type running struct {
	out  bytes.Buffer
	done chan error
}

// flwrRun starts the stock command where the link is.
func (w *world) flwrRun(host, venv, app string, config string) *running {
	w.t.Helper()
	home := w.path("flwr-home")
	w.must(os.MkdirAll(home, 0o700))
	text := "[superlink]\ndefault = \"test\"\n\n[superlink.test]\naddress = \"127.0.0.1:8000\"\ninsecure = true\n"
	w.must(os.WriteFile(filepath.Join(home, "config.toml"), []byte(text), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := w.lab.Cmd(ctx, host, filepath.Join(venv, "bin", "flwr"), "run", app, "test", "--stream", "-c", config)
	cmd.Env = append(os.Environ(), "FLWR_HOME="+home, "FLWR_TELEMETRY_ENABLED=0", "FLWR_DISABLE_UPDATE_CHECK=1", "COLUMNS=250", "NO_COLOR=1")
	r := &running{done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &r.out, &r.out, time.Second
	w.must(cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); r.done <- cmd.Wait() }()
	w.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return r
}

// await waits for the end of the run and returns what was printed.
func (r *running) await(t *testing.T, limit time.Duration) string {
	t.Helper()
	select {
	case err := <-r.done:
		if err != nil {
			t.Fatalf("flwr run: %v\n%s", err, r.out.String())
		}
	case <-time.After(limit):
		t.Fatalf("flwr run does not end within %v", limit)
	}
	return r.out.String()
}
