package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

func TestVerbsOfTheStockCommand(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, link := w.Link()
	w.Nodes(1)
	checkVerbs(t, w, w.Flwr(link))
}

// checkVerbs tries every verb, with output for people and for programs, on a federation with
// one node.
func checkVerbs(t *testing.T, w *world.World, f *world.Flwr) {
	t.Helper()
	p := w.Probe("ok")
	streamed := f.Run("run", p.Dir, "test", "--stream", "-c", p.Config(`say="a word"`))
	if !strings.Contains(streamed, "Successfully started run") || !strings.Contains(streamed, "outcome: ok") {
		t.Errorf("flwr run --stream:\n%s", world.Tail(streamed, 30))
	}
	if out := f.Run("run", p.Dir, "test"); !strings.Contains(out, "Successfully started run") {
		t.Errorf("flwr run:\n%s", out)
	}
	run := f.Submit(p.Dir, "-c", p.Config())
	checkRun(t, f, run)
	checkFederation(t, f)
	checkRegistration(t, w, f)
	checkRefusals(t, f, p, run)
}

// checkRun looks at one run in every way there is.
func checkRun(t *testing.T, f *world.Flwr, run string) {
	t.Helper()
	if out := f.Run("log", run, "test", "--stream"); !strings.Contains(out, "outcome: ok") {
		t.Errorf("flwr log --stream:\n%s", out)
	}
	if out := f.Run("log", run, "test", "--show"); !strings.Contains(out, "outcome: ok") {
		t.Errorf("flwr log --show:\n%s", out)
	}
	if status := f.Status(run); status != "finished:completed" {
		t.Errorf("the run is %q", status)
	}
	var all struct{ Runs []world.RunRow }
	f.JSON(&all, "ls", "test")
	if len(all.Runs) < 3 || all.Runs[0].RunID.String() != run {
		t.Errorf("flwr ls: the newest run of %d is not %s: %+v", len(all.Runs), run, all.Runs)
	}
	for _, out := range []string{f.Run("ls", "test"), f.Run("ls", "test", "--run-id", run)} {
		if !strings.Contains(out, run) {
			t.Errorf("flwr ls does not show the run:\n%s", out)
		}
	}
}

func checkFederation(t *testing.T, f *world.Flwr) {
	t.Helper()
	if ids := f.NodeIDs(); len(ids) != 1 {
		t.Errorf("flwr supernode ls: nodes %v, want one", ids)
	} else if out := f.Run("supernode", "ls", "test"); !strings.Contains(out, ids[0]) {
		t.Errorf("flwr supernode ls:\n%s", out)
	}
	for _, c := range []struct {
		args []string
		want string // in the answer for programs, which does not repeat a name it was given
	}{
		{[]string{"federation", "ls", "test"}, "@none/default"},
		{[]string{"federation", "ls", "test", "--federation", "@none/default"}, "role:owner"},
	} {
		if out := f.Run(c.args...); !strings.Contains(out, "@none/default") {
			t.Errorf("flwr %v:\n%s", c.args, out)
		}
		var answer any
		f.JSON(&answer, c.args...)
		if text := fmt.Sprint(answer); !strings.Contains(text, c.want) {
			t.Errorf("flwr %v --format json: %s", c.args, text)
		}
	}
}

// checkRegistration registers the key of a node that is yet to come, and then takes it back.
func checkRegistration(t *testing.T, w *world.World, f *world.Flwr) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	path := w.Path("node-key.pub")
	if err := os.WriteFile(path, ssh.MarshalAuthorizedKey(public), 0o600); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Success bool        `json:"success"`
		NodeID  json.Number `json:"node-id"`
	}
	f.JSON(&answer, "supernode", "register", path, "test")
	if answer.NodeID == "" {
		t.Fatalf("flwr supernode register gave no id: %+v", answer)
	}
	if out, errs, code := f.Try("supernode", "register", path, "test"); code == 0 || !strings.Contains(out+errs, "code: 23") {
		t.Errorf("a key was registered twice: %d\n%s%s", code, out, errs)
	}
	if out := f.Run("supernode", "unregister", answer.NodeID.String(), "test"); !strings.Contains(out, answer.NodeID.String()) {
		t.Errorf("flwr supernode unregister:\n%s", out)
	}
}

// checkRefusals tries requests that must be refused with the code that stock Flower gives.
func checkRefusals(t *testing.T, f *world.Flwr, p *world.Probe, finished string) {
	t.Helper()
	for _, c := range []struct {
		what string
		args []string
		want string
	}{
		{"stop of a finished run", []string{"stop", finished, "test"}, "code: 18"},
		{"stop of no run", []string{"stop", "123", "test"}, "code: 16"},
		{"log of no run", []string{"log", "123", "test", "--show"}, "code: 16"},
		{"ls of no run", []string{"ls", "test", "--run-id", "123"}, "code: 16"},
		{"unknown setting", []string{"run", p.Dir, "test", "-c", "no-such-setting=1"}, "code: 15"},
		{"unknown federation", []string{"federation", "ls", "test", "--federation", "@none/other"}, "code: "},
		{"unregister of no node", []string{"supernode", "unregister", "123", "test"}, "code: 24"},
		{"pull", []string{"pull", finished, "test"}, "code: 20"},
		{"login", []string{"login", "test"}, ""},
	} {
		out, errs, code := f.Try(c.args...)
		if code == 0 || !strings.Contains(out+errs, c.want) || strings.Contains(out+errs, "Traceback") {
			t.Errorf("%s: exit code %d, want %q in\n%s%s", c.what, code, c.want, out, errs)
		}
	}
}
