//go:build linux

package nat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	harness "github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/internal/natlab"
	"github.com/rhizome-fl/rhizome/p2p/doctor"
)

// checkup is a call of `rhizome doctor`, and what it must say.
type checkup struct {
	name, host     string
	args           []string
	cause          doctor.Cause
	user, firewall string
}

// These phrases occur in several sentences; the lab's addresses replace $LINK, $R1 and $R2.
const (
	relayed443 = "This site reaches the link only through the relays $R1:443 and $R2:443"
	closed     = relayed443 + ", since the link's own addresses do not answer: it sits behind a NAT or a firewall, or a rule of this site is about their ports; "
	allOf443   = "TCP port 443 of $R1, UDP port 443 of $R1, TCP port 443 of $R2 and UDP port 443 of $R2"
	changeNone = "Nothing needs to be changed, since " + allOf443 + " can be reached from this site; for a direct path, allow outgoing UDP to any port here, or have the link's side let in TCP port 4001 of $LINK."
	fasterBy   = "To have a direct and faster path, allow outgoing TCP port 4001 of $LINK"
	enough     = "TCP port 443 of $R1 and TCP port 443 of $R2 already works and is enough to take part."
)

// checkups returns the calls to try; join holds the arguments with which a site is examined
// before it joins.
func (f *field) checkups(join []string) []checkup {
	return []checkup{
		{"before joining,cone", "cone", join, doctor.CauseLinkClosed,
			closed + "hole punching will make a direct path if the link's NAT allows it, and this site's does.", changeNone},
		{"before joining,symmetric", "symmetric", join, doctor.CauseLinkClosed,
			closed + "this site sits behind a symmetric NAT, which uses a different port for each destination, so that it will stay on the relay unless the link's side is open.", changeNone},
		{"before joining,udpblocked", "udpblocked", join, doctor.CauseOnlyWeb,
			relayed443 + ", since only TCP to port 443 gets out of this site: it works, and all data goes through the relay.",
			fasterBy + "; " + enough},
		{"before joining,proxy", "proxy", append(slices.Clone(join), f.throughProxy("proxy")...), doctor.CauseOnlyProxy,
			relayed443 + " and the HTTP proxy http://192.168.1.1:3128, over WebSocket, since nothing else gets out.",
			fasterBy + " past the proxy; CONNECT to " + enough},
		{"before joining,proxy that is not named", "proxy", join, doctor.CauseBlocked,
			"Nothing answers, neither the link nor a relay: a firewall of this site drops what goes out, or the addresses are old; ask the firewall team, name an HTTP proxy with --proxy if there is one, or ask for a new ticket.",
			"Allow outgoing TCP port 4001 of $LINK, TCP port 443 of $R1, UDP port 443 of $R1, TCP port 443 of $R2 and 1 more (see above), and the answers; one of them over TCP is enough to take part."},
		{"node that runs", "clinic", []string{"--data", f.direct.data()}, doctor.CauseLinkClosed,
			closed + "its daemon has punched a hole all the same, and has a direct path.", changeNone},
		{"link that runs", "home", []string{"--data", f.link.data()}, doctor.CauseLinkRelayed,
			"Others reach this link through its relays $R1:443 and $R2:443; hole punching will make direct paths to nodes whose NAT allows it.",
			"To let others in directly, which is faster, allow incoming TCP and UDP port 4001 and forward it to this machine; " + allOf443 + " can be reached from this site, which is enough to take part."},
	}
}

// The whole command is run at the sites of users: before joining, with a ticket, and beside a
// running node and a running link. What the doctor finds in every kind of network is tested
// in p2p/doctor.
func TestDoctorOfTheBinary(t *testing.T) {
	beside(t)
	uplink := natlab.Link{Delay: rtt / 2}
	f := newField(t, 2, uplink, []string{"--port", "4001"}, nil,
		natlab.Site{Name: "cone", Kind: natlab.Cone, Uplink: uplink}, natlab.Site{Name: "symmetric", Kind: natlab.Symmetric, Uplink: uplink},
		natlab.Site{Name: "udpblocked", Kind: natlab.UDPBlocked, Uplink: uplink}, natlab.Site{Name: "proxy", Kind: natlab.Proxy, Uplink: uplink})
	f.eventually("the link knows its public address", startLimit, func() bool { return f.link.names(f.lab.PublicAddr("home")) })
	checkups := f.checkups([]string{"--data", f.path("nobody"), "--join", f.link.ticketVia(2)})
	var group errgroup.Group
	group.SetLimit(doctorsAtATime)
	texts, reports := make([]string, len(checkups)), make([]doctor.Report, len(checkups))
	for i, c := range checkups {
		group.Go(func() (err error) { texts[i], err = f.doctor(c.host, c.args...); return err })
		group.Go(func() error {
			text, err := f.doctor(c.host, append(slices.Clone(c.args), "--json")...)
			if err == nil {
				err = json.Unmarshal([]byte(text), &reports[i])
			}
			return err
		})
	}
	f.must(group.Wait())
	for i, c := range checkups {
		t.Run(c.name, func(t *testing.T) { c.check(t, f, texts[i], reports[i]) })
	}
	if nodes := f.link.asLink().Nodes; len(nodes) != 2 || nodes[0].Session == nil || nodes[1].Session == nil {
		t.Errorf("the link has other nodes after it all: %+v", nodes)
	}
}

// doctorsAtATime can be this many because they mostly wait.
const doctorsAtATime = 7

// doctor runs the command to its end, and returns what it printed. Any exit status but 0 is
// an error.
func (w *world) doctor(host string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), doctor.MaxTime+startLimit)
	defer cancel()
	cmd := w.lab.Cmd(ctx, host, harness.Binary(w.t), append([]string{"doctor"}, args...)...)
	cmd.Env = append(os.Environ(), "HTTPS_PROXY=", "HTTP_PROXY=", "ALL_PROXY=")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("doctor %s at %s: %w\n%s%s", strings.Join(args, " "), host, err, out.String(), complaint.String())
	}
	return out.String(), nil
}

func (c checkup) check(t *testing.T, f *field, text string, r doctor.Report) {
	t.Logf("\n%s", text)
	names := strings.NewReplacer("$LINK", f.lab.PublicAddr("home"), "$R1", f.lab.Addr("relay1"), "$R2", f.lab.Addr("relay2"))
	if r.Verdict.Cause != c.cause {
		t.Errorf("cause %q, want %q", r.Verdict.Cause, c.cause)
	}
	if want := names.Replace(c.user); r.Verdict.User != want {
		t.Errorf("the user is told\n  %s\nwant\n  %s", r.Verdict.User, want)
	}
	if want := names.Replace(c.firewall); r.Verdict.Firewall != want {
		t.Errorf("the firewall team is told\n  %s\nwant\n  %s", r.Verdict.Firewall, want)
	}
	if end := fmt.Sprintf("\nFor you: %s\n\nFor the firewall team: %s\n", r.Verdict.User, r.Verdict.Firewall); !strings.HasSuffix(text, end) {
		t.Errorf("a person is told otherwise:\n%s", tail(text, 4))
	}
	if limit := (doctor.MaxTime + time.Second).Seconds(); r.Took > limit {
		t.Errorf("it took %v s", r.Took)
	}
}

// Mistakes end with one line and with the exit status that scripts look at.
func TestDoctorSaysWhatItNeeds(t *testing.T) {
	beside(t)
	w := newWorld(t, natlab.Site{Name: "home", Kind: natlab.Cone})
	for _, c := range []struct {
		args    []string
		code    int
		message string
	}{
		{[]string{"--data", w.path("nobody")}, 1, "rhizome: there is nothing to examine yet: name a data directory with --data, or a ticket with --join\n"},
		{[]string{"--data", w.path("nobody"), "--join", "rhz1nonsense"}, 1, "rhizome: --join: "},
		{[]string{"--data", w.path("nobody"), "--proxy", "::"}, 2, "rhizome: "},
		{[]string{"--no-such-flag"}, 2, "rhizome: unknown flag: --no-such-flag"},
	} {
		_, err := w.doctor("home", c.args...)
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != c.code || !strings.Contains(err.Error(), c.message) {
			t.Errorf("doctor %s: want status %d and %q: %v", strings.Join(c.args, " "), c.code, c.message, err)
		}
	}
}
