package guard

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// nobody is a user who owns nothing here.
const nobody = 65534

// postAs sends a request with an empty body to a port of this machine as a given user, and
// returns everything that comes back.
func postAs(t *testing.T, uid uint32, address, path string, headers ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	lines := append([]string{"POST " + path + " HTTP/1.1", "Content-Type: " + flwr.TypeProtobuf, "Content-Length: 0", "Connection: close"}, headers...)
	if !slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "Host:") }) {
		lines = append(lines, "Host: "+address)
	}
	script := fmt.Sprintf(`exec 3<>/dev/tcp/%s/%s; printf '%s' >&3; timeout 20 cat <&3`, host, port, strings.Join(lines, `\r\n`)+`\r\n\r\n`)
	command := exec.CommandContext(t.Context(), "bash", "-c", script)
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, _ := command.CombinedOutput() // a connection that is closed at once is an answer, too
	return string(out)
}

// Another user of the machine, or a web page in the right user's browser, gets nothing from
// the APIs of a link, of a node, or of a remote link through a proxy. The user who started
// them can use them as before.
func TestLocalPortsAreForTheirUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	w := world.New(t)
	_, hub := w.Link("--fleet-http")
	site := w.RuntimeAddress(w.Nodes(1)[0])
	operator := filepath.Join(w.Path(), "operator.ticket")
	if err := os.WriteFile(operator, []byte(w.Ticket("--role", "operator")), 0o600); err != nil {
		t.Fatal(err)
	}
	far := w.FreeAddress()
	w.Rhizome("proxy", "proxy", "--data", w.Path("me"), "--join", "@"+operator, "--http", far)

	listRuns, acquire, register := flwr.PathListRuns, flwr.PathAcquireTask, flwr.PathFleetRegisterNode
	for _, port := range []struct{ name, address, path string }{
		{"Control API", hub, listRuns}, {"Runtime API", hub, acquire}, {"Fleet API", hub, register}, {"Runtime API of a node", site, acquire},
	} {
		t.Run(port.name, func(t *testing.T) {
			if got := postAs(t, nobody, port.address, port.path); !strings.Contains(got, " 403 ") || !strings.Contains(got, "user 65534") {
				t.Errorf("another user got %q", got)
			}
			for name, headers := range map[string][]string{
				"a name that was made to lead here": {"Host: evil.example:8000"},
				"a page of another site":            {"Origin: http://evil.example"},
				"a page of nowhere":                 {"Origin: null"},
				"a link on another site":            {"Sec-Fetch-Site: cross-site"},
			} {
				if got := postAs(t, 0, port.address, port.path, headers...); !strings.Contains(got, " 403 ") {
					t.Errorf("%s got %q", name, got)
				}
			}
		})
	}
	t.Run("proxy", func(t *testing.T) {
		if got := postAs(t, nobody, far, listRuns); strings.Contains(got, "HTTP/1.1") {
			t.Errorf("another user got %q", got)
		}
		if got := postAs(t, 0, far, listRuns, "Host: evil.example:8000"); !strings.Contains(got, " 403 ") {
			t.Errorf("a name that was made to lead here got %q", got)
		}
		if got := postAs(t, 0, far, listRuns, "Origin: http://evil.example"); !strings.Contains(got, " 403 ") {
			t.Errorf("a page of another site got %q", got)
		}
		if got := postAs(t, 0, far, listRuns); !strings.Contains(got, " 200 ") {
			t.Errorf("its own user got %q", got)
		}
	})
	// This process belongs to the right user but is not the link's SuperExec.
	for name, address := range map[string]string{"link": hub, "node": site} {
		if got := postAs(t, 0, address, acquire); !strings.Contains(got, " 401 ") {
			t.Errorf("a process without the secret of the %s's SuperExec got %q", name, got)
		}
	}
	f := w.Flwr(hub)
	probe := w.Probe("ok")
	run := f.Submit(probe.Dir, "-c", probe.Config())
	w.Eventually("the run of the right user is finished", world.RunLimit, func() bool { return f.Status(run) == "finished:completed" })
}

// Users named with --allow-users are let in.
func TestAllowedUsersAreLetIn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	w := world.New(t)
	_, hub := w.Link("--allow-users", fmt.Sprint(nobody))
	if got := postAs(t, nobody, hub, flwr.PathListRuns); !strings.Contains(got, " 200 ") {
		t.Errorf("an allowed user got %q", got)
	}
	if got := postAs(t, nobody-1, hub, flwr.PathListRuns); !strings.Contains(got, " 403 ") {
		t.Errorf("another user got %q", got)
	}
}
