package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/link/membership"
)

// refused runs a command that must end with exit code 1 and one line on stderr, not counting
// logs.
func refused(t *testing.T, w *world.World, want string, args ...string) {
	t.Helper()
	stdout, stderr, code := w.Try(args...)
	var said []string
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "rhizome: ") {
			said = append(said, line)
		}
	}
	if code != 1 || len(said) != 1 || !strings.Contains(said[0], want) || !strings.HasSuffix(stderr, said[0]) {
		t.Errorf("rhizome %s: exit code %d, want 1 and one line with %q in\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
}

// changed is a text with the letter at one position replaced by another.
func changed(text string, at int) string {
	letter := "x"
	if text[at:at+1] == letter {
		letter = "y"
	}
	return text[:at] + letter + text[at+1:]
}

func TestTicketsThatLetNobodyIn(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, address := w.Link()
	join := func(name, ticket string) []string {
		return []string{"node", "--data", w.Path(name), "--isolation", "process", "--listen", "none", "--join", ticket}
	}
	good := w.Ticket()
	refused(t, w, "the ticket is cut or changed", join("cut", good[:len(good)-5])...)
	refused(t, w, "the ticket is cut or changed", join("changed", changed(good, 20))...)

	expired := w.Ticket("--expires", "1s")
	w.Eventually("the ticket expires", world.StartLimit, func() bool {
		return strings.Contains(w.Command("ticket", "ls", "--data", w.Path("link")), "expired")
	})
	refused(t, w, "expired", join("late", expired)...)

	once := w.Ticket("--uses", "1")
	w.Node(once, 0, 1).Stop()
	refused(t, w, "used up", join("second", once)...)

	var made membership.Ticket
	w.JSON(&made, "ticket", "create", "--data", w.Path("link"), "--json")
	w.Command("ticket", "revoke", "--data", w.Path("link"), made.ID)
	refused(t, w, "revoked", join("revoked", made.Text)...)

	operator := w.Ticket("--role", "operator")
	refused(t, w, "operator", join("wrong-role", operator)...)
	refused(t, w, "for the role node", "proxy", "--data", w.Path("proxy"), "--http", w.FreeAddress(), "--join", good)

	var status linkadmin.Status
	w.JSON(&status, "status", "--data", w.Path("link"), "--json")
	stranger := w.FreshID("stranger")
	refused(t, w, "rhizome member add "+stranger, join("stranger", status.Addresses[0])...)

	var members []membership.Member
	w.JSON(&members, "member", "ls", "--data", w.Path("link"), "--json")
	if len(members) != 1 || members[0].Name != "node0" {
		t.Errorf("members are %+v, want node0 alone", members)
	}
	if ids := w.Flwr(address).NodeIDs(); len(ids) != 0 {
		t.Errorf("nodes %v are online", ids)
	}
}

func TestTicketForAnotherLink(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	w.Link()
	node := w.Node(w.Ticket(), 0, 1)
	node.Stop()
	other := world.New(t)
	other.Link()
	foreign := other.Ticket()
	refused(t, w, "belongs to a node of SuperLink", "node", "--data", w.Path("node0"), "--isolation", "process", "--join", foreign)
	node.Again(world.Ready) // with its original arguments
}

func TestDataDirectoriesThatCanNotBeUsed(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	w.Link()
	node := w.Node(w.Ticket(), 0, 1)
	again := func(kind, data string) []string {
		args := map[string][]string{
			"link":  {"--http", w.FreeAddress(), "--isolation", "process"},
			"node":  {"--isolation", "process"},
			"relay": {"--open", "--listen", "/ip4/127.0.0.1/tcp/0"},
			"proxy": {"--http", w.FreeAddress()},
		}[kind]
		return append([]string{kind, "--data", data}, args...)
	}
	refused(t, w, "is in use by another rhizome (process", again("link", w.Path("link"))...)
	refused(t, w, "is in use by another rhizome (process", again("node", w.Path("node0"))...)

	node.Stop()
	refused(t, w, "holds the data of a node, not of a link", again("link", w.Path("node0"))...)
	refused(t, w, "holds the data of a node, not of a relay", again("relay", w.Path("node0"))...)

	marker := w.Path("node0", "rhizome.json")
	before, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{"kind":"node","format":1000}`: "use the newer rhizome",
		`{"kind":`:                      "is damaged",
	} {
		write(t, marker, text)
		refused(t, w, want, again("node", w.Path("node0"))...)
		if after, err := os.ReadFile(marker); err != nil || string(after) != text {
			t.Errorf("the marker of a data directory that was refused is %q now (%v)", after, err)
		}
	}
	write(t, marker, string(before))
	node.Again(world.Ready)
}

func TestDataDirectoryThatCanNotBeWritten(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can run a command as another user, and to root everything can be written")
	}
	w := world.New(t)
	const nobody = 65534
	readOnly := w.Public("read-only")
	for _, kind := range []string{"link", "node", "relay"} {
		args := map[string][]string{
			"link":  {"--http", w.FreeAddress(), "--isolation", "process"},
			"node":  {"--isolation", "process", "--join", "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWRqx4hfXQ3WwXgSxvE2q9KNREDuHRkp3tBi7h91fxB32X"},
			"relay": {"--open"},
		}[kind]
		stdout, stderr, code := w.TryAs(nobody, append([]string{kind, "--data", readOnly}, args...)...)
		if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "cannot be written") {
			t.Errorf("%s in a read-only directory: exit code %d\n%s%s", kind, code, stdout, stderr)
		}
	}
	if left, err := os.ReadDir(readOnly); err != nil || len(left) > 0 {
		t.Errorf("in the read-only directory are %v (%v)", left, err)
	}
}

func TestPortsThatAreTaken(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, address := w.Link()
	var status linkadmin.Status
	w.JSON(&status, "status", "--data", w.Path("link"), "--json")
	taken, _, _ := strings.Cut(status.Addresses[0], "/p2p/")
	ticket := w.Ticket("--role", "operator")
	port := address[strings.LastIndex(address, ":")+1:]

	refused(t, w, address, "link", "--data", w.Path("a"), "--isolation", "process", "--listen", "none", "--http", address)
	refused(t, w, taken, "link", "--data", w.Path("b"), "--isolation", "process", "--listen", taken, "--http", w.FreeAddress())
	refused(t, w, taken, "relay", "--data", w.Path("c"), "--open", "--listen", taken)
	refused(t, w, address, "relay", "--data", w.Path("c"), "--open", "--listen", "/ip4/127.0.0.1/tcp/0", "--metrics", address)
	refused(t, w, address, "proxy", "--data", w.Path("d"), "--join", ticket, "--http", address)
	refused(t, w, port, "node", "--data", w.Path("e"), "--isolation", "process", "--listen", "none", "--join", w.Ticket(), "--runtime-port", port)

	var members []membership.Member
	w.JSON(&members, "member", "ls", "--data", w.Path("link"), "--json")
	if len(members) != 0 {
		t.Errorf("members are %+v", members)
	}
}

func TestAdministrationOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	w.Link()
	data := w.Path("link")
	unknown := w.FreshID("stranger")
	refused(t, w, "123", "ticket", "revoke", "--data", data, "123")
	refused(t, w, unknown, "member", "rm", "--data", data, unknown)
	refused(t, w, "nobody", "member", "rm", "--data", data, "nobody")
	refused(t, w, "nobody", "member", "add", "--data", data, "nobody")
	refused(t, w, "king", "member", "add", "--data", data, unknown, "--role", "king")
	refused(t, w, "king", "ticket", "create", "--data", data, "--role", "king")
	refused(t, w, "uses", "ticket", "create", "--data", data, "--uses", "-1")
	for _, list := range []string{"ticket", "member"} {
		if out := w.Command(list, "ls", "--data", data); strings.Contains(out, unknown) || strings.Contains(out, "king") {
			t.Errorf("rhizome %s ls shows\n%s", list, out)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", filepath.Base(path), err))
	}
}
