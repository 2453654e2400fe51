package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// flwr is the stock command, configured for one SuperLink.
type flwr struct {
	w    *world
	home string
	bin  string
}

// flwr gives the command for the Control API at address.
func (w *world) flwr(address string) *flwr {
	w.t.Helper()
	f := &flwr{w: w, home: w.path("flwr-" + fmt.Sprint(len(address)) + filepath.Base(address)), bin: filepath.Join(w.venv, "bin", "flwr")}
	if err := os.MkdirAll(f.home, 0o700); err != nil {
		w.t.Fatal(err)
	}
	config := fmt.Sprintf("[superlink]\ndefault = \"test\"\n\n[superlink.test]\naddress = %q\ninsecure = true\n", address)
	if err := os.WriteFile(filepath.Join(f.home, "config.toml"), []byte(config), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// try runs a command and returns what it printed and its exit code.
func (f *flwr) try(args ...string) (stdout, stderr string, code int) {
	f.w.t.Helper()
	ctx, cancel := context.WithTimeout(f.w.t.Context(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.bin, args...)
	// Wide, so that tables are not folded.
	cmd.Env, cmd.Dir = f.w.env("FLWR_HOME="+f.home, "COLUMNS=250", "NO_COLOR=1", "TERM=dumb"), f.w.dir
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		f.w.t.Fatalf("flwr %v does not end within %v:\n%s%s", args, runLimit, out.String(), errs.String())
	}
	if err != nil && cmd.ProcessState == nil {
		f.w.t.Fatalf("flwr %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// run is try for a command that must work.
func (f *flwr) run(args ...string) string {
	f.w.t.Helper()
	stdout, stderr, code := f.try(args...)
	if code != 0 {
		f.w.t.Fatalf("flwr %v: exit code %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}

// json runs a command with --format json and decodes its answer.
func (f *flwr) json(answer any, args ...string) {
	f.w.t.Helper()
	stdout := f.run(append(args, "--format", "json")...)
	if err := json.Unmarshal([]byte(stdout), answer); err != nil {
		f.w.t.Fatalf("flwr %v --format json: %v in\n%s", args, err, stdout)
	}
}

// submit starts a run and returns its id.
func (f *flwr) submit(app string, args ...string) string {
	f.w.t.Helper()
	var answer struct {
		Success bool        `json:"success"`
		RunID   json.Number `json:"run-id"`
	}
	f.json(&answer, append([]string{"run", app, "test"}, args...)...)
	if !answer.Success || answer.RunID == "" {
		f.w.t.Fatalf("flwr run %s did not give a run id: %+v", app, answer)
	}
	return answer.RunID.String()
}

// runRow is one run as `flwr ls --format json` shows it.
type runRow struct {
	RunID  json.Number `json:"run-id"`
	Status string      `json:"status"`
}

// status is that of a run, such as "running" or "finished:completed".
func (f *flwr) status(runID string) string {
	f.w.t.Helper()
	var answer struct {
		Runs []runRow `json:"runs"`
	}
	f.json(&answer, "ls", "test", "--run-id", runID)
	if len(answer.Runs) != 1 || answer.Runs[0].RunID.String() != runID {
		f.w.t.Fatalf("flwr ls --run-id %s gave %+v", runID, answer)
	}
	return answer.Runs[0].Status
}

// nodeIDs lists the nodes that are online.
func (f *flwr) nodeIDs() []string {
	f.w.t.Helper()
	var answer struct {
		Nodes []struct {
			ID     json.Number `json:"node-id"`
			Status string      `json:"status"`
		} `json:"nodes"`
	}
	f.json(&answer, "supernode", "ls", "test")
	var ids []string
	for _, node := range answer.Nodes {
		if node.Status == "online" {
			ids = append(ids, node.ID.String())
		}
	}
	return ids
}

var weights = regexp.MustCompile(`final weights sha256: ([0-9a-f]{64})`)

// weightsHash finds the line in which the quickstart tells its result.
func weightsHash(t *testing.T, output string) string {
	t.Helper()
	match := weights.FindStringSubmatch(output)
	if match == nil {
		t.Fatalf("the app did not tell its final weights:\n%s", tail(output, 60))
	}
	return match[1]
}

func example(t *testing.T, name ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "examples"}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
