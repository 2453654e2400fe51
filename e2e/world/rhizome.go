package world

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// These methods start our own processes. Each keeps its data in a folder of the world under
// its own name.

// Ready is what our daemons print once they serve.
const Ready = `^ready `

// Rhizome starts one of our daemons.
func (w *World) Rhizome(name string, args ...string) *Daemon {
	w.t.Helper()
	return w.Start(name, Ready, nil, Binary(w.t), args...)
}

// Relay starts a relay that anybody may use, and returns its address.
func (w *World) Relay(args ...string) (*Daemon, string) {
	w.t.Helper()
	args = append([]string{
		"relay", "--data", w.Path("relay"), "--listen", "/ip4/127.0.0.1/tcp/" + fmt.Sprint(w.FreePort()), "--open",
	}, args...)
	d := w.Rhizome("relay", args...)
	match := regexp.MustCompile(`/ip4/127\.0\.0\.1/tcp/\d+/p2p/\w+`).FindString(d.Output())
	if match == "" {
		w.t.Fatalf("the relay does not tell its address:\n%s", d.Output())
	}
	return d, match
}

// Link starts a SuperLink that listens on loopback, and returns the address of its APIs.
func (w *World) Link(args ...string) (*Daemon, string) {
	w.t.Helper()
	return w.LinkListening("/ip4/127.0.0.1/tcp/"+fmt.Sprint(w.FreePort()), args...)
}

// LinkListening is Link with a given address to listen on.
func (w *World) LinkListening(listen string, args ...string) (*Daemon, string) {
	w.t.Helper()
	address := w.FreeAddress()
	args = append([]string{
		"link", "--data", w.Path("link"), "--http", address, "--listen", listen, "--python", w.venv,
	}, args...)
	return w.Rhizome("link", args...), address
}

// Ticket makes a ticket at the link.
func (w *World) Ticket(args ...string) string {
	w.t.Helper()
	out := w.Command(append([]string{"ticket", "create", "--data", w.Path("link")}, args...)...)
	ticket := regexp.MustCompile(`rhz1\S+`).FindString(out)
	if ticket == "" {
		w.t.Fatalf("no ticket in %q", out)
	}
	return ticket
}

// Node starts a SuperNode for partition i of n.
func (w *World) Node(ticket string, i, n int, args ...string) *Daemon {
	w.t.Helper()
	name := fmt.Sprintf("node%d", i)
	args = append([]string{
		"node", "--data", w.Path(name), "--join", ticket, "--name", name, "--python", w.venv, "--node-config", NodeConfig(i, n),
	}, args...)
	return w.Rhizome(name, args...)
}

// Nodes starts n SuperNodes.
func (w *World) Nodes(n int, args ...string) []*Daemon {
	w.t.Helper()
	ticket := w.Ticket("--uses", fmt.Sprint(n))
	all := make([]*Daemon, n)
	for i := range n {
		all[i] = w.Node(ticket, i, n, args...)
	}
	return all
}

// RuntimeAddress is where a node serves its Runtime API, as the node prints at its start.
func (w *World) RuntimeAddress(node *Daemon) string {
	w.t.Helper()
	match := regexp.MustCompile(`Runtime API (127\.0\.0\.1:\d+)`).FindStringSubmatch(node.Output())
	if match == nil {
		w.t.Fatalf("%s does not tell its Runtime API:\n%s", node.Name, node.Output())
	}
	return match[1]
}

// SuperExec starts our SuperExec by hand, for a host with --isolation process.
func (w *World) SuperExec(runtime string) *Daemon {
	w.t.Helper()
	name := "exec-" + strings.ReplaceAll(runtime, ":", "-")
	return w.Rhizome(name, "exec", "--runtime-api-address", runtime, "--data", w.Path(name), "--python", w.venv)
}

// Status is what `rhizome status --json` says about the daemon with this data folder.
func (w *World) Status(name string) map[string]any {
	w.t.Helper()
	var answer map[string]any
	out := w.Command("status", "--data", w.Path(name), "--json")
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		w.t.Fatalf("rhizome status --json: %v in\n%s", err, out)
	}
	return answer
}
