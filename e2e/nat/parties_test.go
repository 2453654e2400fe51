//go:build linux

package nat

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"

	harness "github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// The parties of a federation. Nobody starts a SuperExec unless a test asks for one.

// well443 makes a daemon listen where every firewall lets clients out: TCP, QUIC and
// WebSocket on port 443.
var well443 = []string{"--port", "443", "--websocket"}

// relay starts a relay that serves one link, and returns its public addresses.
func (w *world) relay(host, linkID string) (*daemon, []string) {
	w.t.Helper()
	d := w.start(host, host, append([]string{"relay", "--allow-link", linkID}, well443...)...)
	d.mustBeReady()
	var s relayStatus
	w.eventually(d.name+" answers", startLimit, func() bool { return d.status(&s) && len(s.Addresses) > 0 })
	return d, slices.DeleteFunc(s.Addresses, func(a string) bool { return !strings.HasPrefix(a, "/ip4/11.") })
}

// relayID finds the peer id in the output of a relay.
var relayID = regexp.MustCompile(`(?m)^relay (\S+)$`)

// relays starts a relay for one link on each host, and returns the flags that tell the link
// about all of them.
func (w *world) relays(linkID string, hosts ...string) (relays []*daemon, flags []string) {
	w.t.Helper()
	for _, host := range hosts {
		d, addresses := w.relay(host, linkID)
		relays = append(relays, d)
		for _, a := range addresses {
			flags = append(flags, "--relay", a)
		}
	}
	return relays, flags
}

// peerID makes the key of a daemon that has not been started, and returns its peer id.
func (w *world) peerID(name string) string {
	w.t.Helper()
	cmd := w.lab.Cmd(w.t.Context(), w.lab.Hosts()[0], harness.Binary(w.t), "id", "--data", w.path(name))
	out, err := cmd.Output()
	w.must(err)
	return strings.TrimSpace(string(out))
}

// link starts a link and waits until it has written a ticket.
func (w *world) link(host, name string, args ...string) (*daemon, string) {
	w.t.Helper()
	d := w.start(host, name, append([]string{"link", "--isolation", "process"}, args...)...)
	return d, d.ticket()
}

var joinLine = regexp.MustCompile(`(?m)^to join: rhizome node --join (@\S+)$`)

// ticket waits for the ticket that a link makes once it has an address to name.
func (d *daemon) ticket() string {
	d.w.t.Helper()
	var match []string
	d.w.eventually(d.name+" makes a ticket", startLimit, func() bool {
		match = joinLine.FindStringSubmatch(d.output())
		return match != nil
	})
	return match[1]
}

// ticketVia asks a link for a ticket once the link can be reached through this many relays.
func (d *daemon) ticketVia(relays int) string {
	d.w.t.Helper()
	d.w.eventually(fmt.Sprintf("%s reserves at %d relays", d.name, relays), startLimit, func() bool {
		via := make(map[string]bool)
		for _, a := range d.asLink().Addresses {
			if head, _, circuit := strings.Cut(a, "/p2p-circuit"); circuit {
				via[head[strings.LastIndex(head, "/"):]] = true
			}
		}
		return len(via) >= relays
	})
	var made struct {
		Ticket string `json:"ticket"`
	}
	d.w.must(d.call(http.MethodPost, "/tickets", struct{}{}, &made))
	path := d.w.path(d.name + ".ticket")
	d.w.must(os.WriteFile(path, []byte(made.Ticket), 0o600))
	return "@" + path
}

// names tells whether a link knows that others see it at an IP address.
func (d *daemon) names(ip string) bool {
	return slices.ContainsFunc(d.asLink().Addresses, func(a string) bool { return strings.HasPrefix(a, "/ip4/"+ip+"/") })
}

// node starts a node that joins with a ticket.
func (w *world) node(host, name, ticket string, args ...string) *daemon {
	w.t.Helper()
	return w.start(host, name, append([]string{"node", "--isolation", "process", "--name", name, "--join", ticket}, args...)...)
}

// throughProxy returns the flags for a party that has only a CONNECT proxy.
func (w *world) throughProxy(host string) []string {
	return []string{"--proxy", fmt.Sprintf("http://%s:%d", w.lab.Gateway(host), natlab.ProxyPort)}
}
