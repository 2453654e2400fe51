package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// Our own processes. Each keeps its data in a folder of the world with its own name.

const ready = `^ready `

func (w *world) rhizome(name string, args ...string) *daemon {
	w.t.Helper()
	return w.start(name, ready, nil, rhizomeBinary(w.t), args...)
}

// command runs a subcommand that ends by itself.
func (w *world) command(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, rhizomeBinary(w.t), args...)
	cmd.Env, cmd.Dir = w.env(), w.dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("rhizome %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// relay starts a relay for anybody and returns its address.
func (w *world) relay() (*daemon, string) {
	w.t.Helper()
	d := w.rhizome("relay", "relay", "--data", w.path("relay"), "--listen", "/ip4/127.0.0.1/tcp/"+fmt.Sprint(w.freePort()), "--open")
	match := regexp.MustCompile(`/ip4/127\.0\.0\.1/tcp/\d+/p2p/\w+`).FindString(d.output())
	if match == "" {
		w.t.Fatalf("the relay does not tell its address:\n%s", d.output())
	}
	return d, match
}

// link starts a SuperLink that listens on loopback, and returns the address of its APIs.
func (w *world) link(args ...string) (*daemon, string) {
	w.t.Helper()
	return w.linkListening("/ip4/127.0.0.1/tcp/"+fmt.Sprint(w.freePort()), args...)
}

func (w *world) linkListening(listen string, args ...string) (*daemon, string) {
	w.t.Helper()
	address := w.freeAddress()
	args = append([]string{
		"link", "--data", w.path("link"), "--http", address, "--listen", listen, "--python", w.venv,
	}, args...)
	return w.rhizome("link", args...), address
}

// ticket makes one at the link.
func (w *world) ticket(args ...string) string {
	w.t.Helper()
	out := w.command(append([]string{"ticket", "create", "--data", w.path("link")}, args...)...)
	ticket := regexp.MustCompile(`rhz1\S+`).FindString(out)
	if ticket == "" {
		w.t.Fatalf("no ticket in %q", out)
	}
	return ticket
}

// node starts a SuperNode for partition i of n.
func (w *world) node(ticket string, i, n int, args ...string) *daemon {
	w.t.Helper()
	name := fmt.Sprintf("node%d", i)
	args = append([]string{
		"node", "--data", w.path(name), "--join", ticket, "--name", name, "--python", w.venv, "--node-config", nodeConfig(i, n),
	}, args...)
	return w.rhizome(name, args...)
}

// nodes starts n SuperNodes.
func (w *world) nodes(n int, args ...string) []*daemon {
	w.t.Helper()
	ticket := w.ticket("--uses", fmt.Sprint(n))
	all := make([]*daemon, n)
	for i := range n {
		all[i] = w.node(ticket, i, n, args...)
	}
	return all
}

// runtimeAddress is where a node serves its Runtime API, as it prints at start.
func (w *world) runtimeAddress(node *daemon) string {
	w.t.Helper()
	match := regexp.MustCompile(`Runtime API (127\.0\.0\.1:\d+)`).FindStringSubmatch(node.output())
	if match == nil {
		w.t.Fatalf("%s does not tell its Runtime API:\n%s", node.name, node.output())
	}
	return match[1]
}

// superexec starts ours by hand, for a host with --isolation process.
func (w *world) superexec(runtime string) *daemon {
	w.t.Helper()
	name := "exec-" + strings.ReplaceAll(runtime, ":", "-")
	return w.rhizome(name, "exec", "--runtime-api-address", runtime, "--data", w.path(name), "--python", w.venv)
}

// status is what `rhizome status --json` says about the daemon with this data folder.
func (w *world) status(name string) map[string]any {
	w.t.Helper()
	var answer map[string]any
	out := w.command("status", "--data", w.path(name), "--json")
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		w.t.Fatalf("rhizome status --json: %v in\n%s", err, out)
	}
	return answer
}
