package world

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

// Flwr is the stock command, configured for one SuperLink.
type Flwr struct {
	w    *World
	home string
	bin  string
}

// Flwr returns the command for the Control API at address.
func (w *World) Flwr(address string) *Flwr {
	w.t.Helper()
	f := &Flwr{w: w, home: w.Path("flwr-" + fmt.Sprint(len(address)) + filepath.Base(address)), bin: filepath.Join(w.venv, "bin", "flwr")}
	if err := os.MkdirAll(f.home, 0o700); err != nil {
		w.t.Fatal(err)
	}
	config := fmt.Sprintf("[superlink]\ndefault = \"test\"\n\n[superlink.test]\naddress = %q\ninsecure = true\n", address)
	if err := os.WriteFile(filepath.Join(f.home, "config.toml"), []byte(config), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// Try runs a command and returns what it printed and its exit code.
func (f *Flwr) Try(args ...string) (stdout, stderr string, code int) {
	f.w.t.Helper()
	ctx, cancel := context.WithTimeout(f.w.t.Context(), RunLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.bin, args...)
	cmd.Env, cmd.Dir = f.w.Env(f.env()...), f.w.dir
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		f.w.t.Fatalf("flwr %v does not end within %v:\n%s%s", args, RunLimit, out.String(), errs.String())
	}
	if err != nil && cmd.ProcessState == nil {
		f.w.t.Fatalf("flwr %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// env is what the command gets besides the environment of the world. The terminal is wide,
// which keeps tables from being folded.
func (f *Flwr) env() []string {
	return []string{"FLWR_HOME=" + f.home, "COLUMNS=250", "NO_COLOR=1", "TERM=dumb"}
}

// StartAt starts a command without waiting for its end. The function at says how a program is
// run in the place where it should run, such as a host of a lab.
func (f *Flwr) StartAt(at func(program string, args ...string) *exec.Cmd, name string, args ...string) *Daemon {
	f.w.t.Helper()
	cmd := at(f.bin, args...)
	return f.w.Start(name, ``, f.env(), cmd.Path, cmd.Args[1:]...)
}

// Run is Try for a command that must work.
func (f *Flwr) Run(args ...string) string {
	f.w.t.Helper()
	stdout, stderr, code := f.Try(args...)
	if code != 0 {
		f.w.t.Fatalf("flwr %v: exit code %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}

// JSON runs a command with --format json and decodes its answer.
func (f *Flwr) JSON(answer any, args ...string) {
	f.w.t.Helper()
	stdout := f.Run(append(args, "--format", "json")...)
	if err := json.Unmarshal([]byte(stdout), answer); err != nil {
		f.w.t.Fatalf("flwr %v --format json: %v in\n%s", args, err, stdout)
	}
}

// Submit starts a run and returns its id.
func (f *Flwr) Submit(app string, args ...string) string {
	f.w.t.Helper()
	var answer struct {
		Success bool        `json:"success"`
		RunID   json.Number `json:"run-id"`
	}
	f.JSON(&answer, append([]string{"run", app, "test"}, args...)...)
	if !answer.Success || answer.RunID == "" {
		f.w.t.Fatalf("flwr run %s did not give a run id: %+v", app, answer)
	}
	return answer.RunID.String()
}

// RunRow is one run as `flwr ls --format json` shows it.
type RunRow struct {
	RunID  json.Number `json:"run-id"`
	Status string      `json:"status"`
}

// Status is the status of a run, such as "running" or "finished:completed".
func (f *Flwr) Status(runID string) string {
	f.w.t.Helper()
	var answer struct {
		Runs []RunRow `json:"runs"`
	}
	f.JSON(&answer, "ls", "test", "--run-id", runID)
	if len(answer.Runs) != 1 || answer.Runs[0].RunID.String() != runID {
		f.w.t.Fatalf("flwr ls --run-id %s gave %+v", runID, answer)
	}
	return answer.Runs[0].Status
}

// NodeIDs lists the nodes that are online.
func (f *Flwr) NodeIDs() []string {
	f.w.t.Helper()
	var answer struct {
		Nodes []struct {
			ID     json.Number `json:"node-id"`
			Status string      `json:"status"`
		} `json:"nodes"`
	}
	f.JSON(&answer, "supernode", "ls", "test")
	var ids []string
	for _, node := range answer.Nodes {
		if node.Status == "online" {
			ids = append(ids, node.ID.String())
		}
	}
	return ids
}

var weights = regexp.MustCompile(`final weights sha256: ([0-9a-f]{64})`)

// WeightsHash finds the hash in the line in which the quickstart reports its result.
func WeightsHash(t testing.TB, output string) string {
	t.Helper()
	match := weights.FindStringSubmatch(output)
	if match == nil {
		t.Fatalf("the app did not tell its final weights:\n%s", Tail(output, 60))
	}
	return match[1]
}

// Example is the folder of an app in examples/.
func Example(t testing.TB, name ...string) string {
	t.Helper()
	return filepath.Join(append([]string{checkout(t), "examples"}, name...)...)
}
