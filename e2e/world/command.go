package world

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// These methods run commands of ours that end by themselves.

// Command runs a command that must work, and returns everything it prints.
func (w *World) Command(args ...string) string {
	w.t.Helper()
	stdout, stderr, code := w.Try(args...)
	if code != 0 {
		w.t.Fatalf("rhizome %v: exit code %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout + stderr
}

// JSON runs a command that must work, and decodes what it prints on stdout.
func (w *World) JSON(into any, args ...string) {
	w.t.Helper()
	stdout, stderr, code := w.Try(args...)
	if code != 0 {
		w.t.Fatalf("rhizome %v: exit code %d\n%s%s", args, code, stdout, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), into); err != nil {
		w.t.Fatalf("rhizome %v: %v in\n%s", args, err, stdout)
	}
}

// Try runs a command that may fail.
func (w *World) Try(args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	return w.try(nil, args)
}

// TryAs is Try as another user; only root can call it.
func (w *World) TryAs(uid uint32, args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	// Only its owner can see into a temporary folder unless it is opened to others.
	if err := os.Chmod(filepath.Dir(Binary(w.t)), 0o755); err != nil {
		w.t.Fatal(err)
	}
	return w.try(&syscall.Credential{Uid: uid, Gid: uid}, args)
}

func (w *World) try(as *syscall.Credential, args []string) (stdout, stderr string, code int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), StartLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(w.t), args...)
	cmd.Env, cmd.Dir = w.Env(), w.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		w.t.Fatalf("rhizome %v does not end within %v:\n%s%s", args, StartLimit, out.String(), errs.String())
	}
	if err != nil && cmd.ProcessState == nil {
		w.t.Fatalf("rhizome %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// FreshID is the peer id of a new data folder.
func (w *World) FreshID(name string) string {
	w.t.Helper()
	return strings.TrimSpace(w.Command("id", "--data", w.Path(name)))
}

// Public makes a folder that all users of this machine can read but only we can write to.
func (w *World) Public(name string) string {
	w.t.Helper()
	path := w.Path(name)
	if err := os.Mkdir(path, 0o755); err != nil {
		w.t.Fatal(err)
	}
	for dir := w.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	return path
}
