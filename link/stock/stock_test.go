package stock

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
)

const (
	// stockPatience has room for three cold starts of Python on a busy machine.
	stockPatience = 60 * time.Second

	stockProject = `
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "echo"
version = "1.0.0"
description = "Sends back what it gets"
license = "Apache-2.0"
dependencies = ["flwr"]
[tool.flwr.app]
publisher = "rhizome"
[tool.flwr.app.components]
serverapp = "echo:server"
clientapp = "echo:client"
`
	stockApp = `
from flwr.app import Message
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

server = ServerApp()
client = ClientApp()

@client.train()
def train(message, context):
    return Message(message.content, reply_to=message)
`
)

// A real flower-supernode with a real ClientApp takes part, and leaves when it is asked to while its
// pull is held.
func TestStockSuperNode(t *testing.T) {
	venv := os.Getenv("RHIZOME_TEST_VENV")
	if venv == "" {
		t.Skip("RHIZOME_TEST_VENV names no Python environment with flwr")
	}
	h := newHub(t, false)
	run := h.runOf(buildFAB(t, venv))
	h.startServerApp()
	node := startStockSuperNode(t, venv, strings.TrimPrefix(h.url, "http://"))

	var id uint64
	node.await(h, "the node is online", func() bool {
		nodes, err := h.store.OnlineNodes(t.Context())
		must(t, err)
		if len(nodes) == 1 {
			id = nodes[0].ID
		}
		return id != 0
	})
	for range 2 { // the second message finds run and app at the node
		m := flwrtest.NewLetter(t, &flwrpb.Metadata{
			RunId: run.ID, SrcNodeId: 1, DstNodeId: id, MessageType: "train", GroupId: "1",
			CreatedAt: float64(time.Now().UnixMicro()) / 1e6, Ttl: 3600,
		}, "RecordDict", []byte("{}"))
		h.send(m)
		node.await(h, "the reply", func() bool { return h.answer(m).Kind == state.Replied })
	}
	must(t, node.command.Process.Signal(syscall.SIGTERM))
	node.await(h, "the node unregisters", func() bool { return h.node(id).Status == state.NodeUnregistered })
}

func stockCommand(venv, home, name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(venv, "bin", name), args...)
	c.Env = append(os.Environ(), "FLWR_HOME="+home, "FLWR_TELEMETRY_ENABLED=0", "FLWR_DISABLE_UPDATE_CHECK=1",
		"PATH="+filepath.Join(venv, "bin")+":"+os.Getenv("PATH"))
	return c
}

func buildFAB(t *testing.T, venv string) []byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "echo")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "pyproject.toml"), []byte(stockProject), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "echo.py"), []byte(stockApp), 0o600))
	build := stockCommand(venv, t.TempDir(), "flwr", "build", "--app", dir)
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("flwr build: %v\n%s", err, out)
	}
	built, err := filepath.Glob(filepath.Join(dir, "*.fab"))
	must(t, err)
	if len(built) != 1 {
		t.Fatalf("flwr build produced %v", built)
	}
	content, err := os.ReadFile(built[0])
	must(t, err)
	return content
}

// stockSuperNode is a process together with everything that it starts.
type stockSuperNode struct {
	t       *testing.T
	command *exec.Cmd
	output  bytes.Buffer // complete when ended is done
	ended   context.Context
}

func startStockSuperNode(t *testing.T, venv, superlink string) *stockSuperNode {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, port, err := net.SplitHostPort(free.Addr().String())
	must(t, err)
	must(t, free.Close())
	n := &stockSuperNode{t: t, command: stockCommand(venv, t.TempDir(), "flower-supernode",
		"--insecure", "--superlink", superlink, "--host", "127.0.0.1", "--port", port)}
	n.command.Stdout, n.command.Stderr = &n.output, &n.output
	n.command.WaitDelay = time.Second
	n.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, n.command.Start())
	ended, end := context.WithCancel(context.Background())
	n.ended = ended
	go func() {
		defer end()
		_ = n.command.Wait() // how it ends is not under test
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-n.command.Process.Pid, syscall.SIGKILL) // with its SuperExec and apps
		<-n.ended.Done()
		if t.Failed() {
			t.Log(n.output.String())
		}
	})
	return n
}

// await waits for something that the node brings about.
func (n *stockSuperNode) await(h *hub, what string, holds func() bool) {
	n.t.Helper()
	watch := h.store.Bell().Watch(state.KeyNodes())
	defer watch.Close()
	look := time.NewTicker(50 * time.Millisecond) // replies ring a different bell for each run
	defer look.Stop()
	limit := time.NewTimer(stockPatience)
	defer limit.Stop()
	for !holds() {
		select {
		case <-watch.C:
		case <-look.C:
		case <-limit.C:
			n.t.Fatalf("not within %s: %s", stockPatience, what)
		}
	}
}
