package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// A daemon outlives whoever reads its output, as with `rhizome link | head`, and still stops
// cleanly when asked.
func TestDaemonOutlivesItsReader(t *testing.T) {
	w := world.New(t)
	output, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(world.Binary(t), "link", "--data", w.Path("link"), "--http", w.FreeAddress(),
		"--listen", "/ip4/127.0.0.1/tcp/0", "--isolation", "process")
	cmd.Env, cmd.Stdout, cmd.Stderr = w.Env(), theirs, theirs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	_ = theirs.Close()
	lines := bufio.NewScanner(output)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "ready ") {
	}
	_ = output.Close()
	w.Node(w.Ticket("--uses", "1"), 0, 1, "--isolation", "process") // nobody reads what the link reports
	w.Eventually("the node has a session", world.StartLimit, func() bool {
		select {
		case err := <-ended:
			t.Fatalf("it ended with %v", err)
		default:
		}
		nodes, _ := w.Status("link")["nodes"].([]any)
		return len(nodes) == 1 && nodes[0].(map[string]any)["session"] != nil
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(world.StopLimit):
		t.Error("it does not end")
		_ = cmd.Process.Kill()
		<-ended
	}
}
