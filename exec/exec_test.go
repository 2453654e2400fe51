package exec

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// superexec is a SuperExec under test whose apps are shell scripts.
type superexec struct {
	t    *testing.T
	host *host
	cfg  Config
	stop func() error
}

// script is what "flwr-clientapp" does: $4 is its token file, and $token holds the content of that file.
func newSuperexec(t *testing.T, h *host, script string) *superexec {
	t.Helper()
	env := t.TempDir()
	for _, name := range []string{"python", "flwr-serverapp", "flwr-clientapp"} {
		text := "#!/bin/sh\nfor last; do :; done\ntoken=$(cat \"$last\")\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(env, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &superexec{t: t, host: h, cfg: Config{RuntimeAddress: h.address(), DataDir: t.TempDir(), Python: env, Cold: true}}
}

// start runs the SuperExec and waits until it asks for tasks.
func (s *superexec) start() *superexec {
	s.t.Helper()
	ready := make(chan struct{})
	s.cfg.OnReady = func() { close(ready) }
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, s.cfg) }()
	s.stop = func() error {
		cancel()
		select {
		case err := <-done:
			done <- err
			return err
		case <-time.After(20 * time.Second):
			s.t.Error("the SuperExec does not end")
			return context.DeadlineExceeded
		}
	}
	s.t.Cleanup(func() { _ = s.stop() })
	select {
	case <-ready:
	case err := <-done:
		done <- err
		s.t.Fatal(err)
	}
	return s
}

// file waits for a file that a script writes; it returns whole lines only.
func (s *superexec) file(name string) string {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		if content, err := os.ReadFile(filepath.Join(s.cfg.Python, name)); err == nil && strings.HasSuffix(string(content), "\n") {
			return string(content)
		}
	}
	s.t.Fatalf("no app wrote %s", name)
	return ""
}

// leftovers lists what is left of apps in the data folder.
func (s *superexec) leftovers() []string {
	entries, err := os.ReadDir(filepath.Join(s.cfg.DataDir, "apps"))
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestTaskIsRunAndItsEndReported(t *testing.T) {
	h := newHost(t, false)
	s := newSuperexec(t, h, `cd "${0%/*}"; echo "$*" > args; env > env; echo "$token" > token; stat -c %a "$last" > mode; echo bye; exit 3`).start()
	h.give(11)
	r := h.nextReport()
	want := report{token: "11", exit: task.Exit{Code: 3}}
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(report{})); diff != "" {
		t.Error(diff)
	}
	if got := s.file("token"); got != "11\n" {
		t.Errorf("token %q", got)
	}
	if runtime.GOOS == "linux" {
		if got := s.file("mode"); got != "600\n" {
			t.Errorf("mode of the token file %q", got)
		}
	}
	args := s.file("args")
	if !strings.HasPrefix(args, "--runtime-api-address "+h.address()+" --insecure --token-file ") || strings.Contains(args, "parent-pid") {
		t.Errorf("arguments %q", args)
	}
	env := s.file("env")
	for _, want := range []string{"FLWR_TELEMETRY_ENABLED=0\n", "FLWR_DISABLE_UPDATE_CHECK=1\n", "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1\n", "FLWR_HOME=" + s.cfg.DataDir} {
		if !strings.Contains(env, want) {
			t.Errorf("%q is not in the environment", want)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	text, err := os.ReadFile(filepath.Join(s.cfg.DataDir, "logs", "7", "flwr-clientapp.log"))
	if err != nil || !strings.Contains(string(text), "\nbye\n") || !strings.Contains(string(text), "task 11 ended: code 3") {
		t.Errorf("log %q, %v", text, err)
	}
}

func TestDependencyInstallationIsPassedThrough(t *testing.T) {
	h := newHost(t, false)
	s := newSuperexec(t, h, `cd "${0%/*}"; env > env; echo "$*" > args`)
	s.cfg.AllowDependencyInstallation = true
	s.start()
	h.give(11)
	h.nextReport()
	if !strings.Contains(s.file("args"), "--allow-runtime-dependency-installation") || strings.Contains(s.file("env"), "DEPENDENCY_INSTALLATION") {
		t.Errorf("args %q", s.file("args"))
	}
}

func TestTaskThatTheHostEndsHasNoProcessLeft(t *testing.T) {
	h := newHost(t, false)
	s := newSuperexec(t, h, `trap '' TERM; sleep 600 & echo $! > "${0%/*}/child"; while :; do wait; sleep 1; done`).start()
	h.give(11)
	child := pidOf(t, s.file("child"))
	h.end("11")
	if r := h.nextReport(); r.exit.Signal != "SIGKILL" || r.exit.Detail != "the process was ended: the host ended the task" {
		t.Errorf("report %+v", r)
	}
	if err := child.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestShutdownEndsAppsAndTells(t *testing.T) {
	h := newHost(t, false)
	s := newSuperexec(t, h, `trap 'exit 0' TERM; echo > "${0%/*}/up$token"; while :; do sleep 600 & wait; done`).start()
	h.give(11)
	h.give(12)
	s.file("up11")
	s.file("up12")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	tokens := map[string]bool{h.nextReport().token: true, h.nextReport().token: true}
	if !tokens["11"] || !tokens["12"] {
		t.Errorf("reported: %v", tokens)
	}
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFailuresOfTheHostPass(t *testing.T) {
	for _, status := range []int{0, 500, 502, 503, 504} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			h := newHost(t, false)
			h.breakNext(2, status)
			newSuperexec(t, h, `exit 0`).start()
			h.give(11)
			h.nextReport()
		})
	}
}

func TestRefusalsEndIt(t *testing.T) {
	for status, want := range map[int]string{
		401: "same secret", 404: "is not a Runtime API", 412: "scripted failure", 501: "is not a Runtime API",
	} {
		h := newHost(t, false)
		h.breakNext(1, status)
		s := newSuperexec(t, h, `exit 0`)
		if err := Run(t.Context(), s.cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("status %d: %v, want %q in it", status, err, want)
		}
	}
}

func TestStockHostIsAskedOnceASecond(t *testing.T) {
	h := newHost(t, true)
	newSuperexec(t, h, `echo > "${0%/*}/up$token"`).start()
	began := time.Now()
	for range 3 {
		<-h.asked
	}
	if took := time.Since(began); took < 2*pollInterval-100*time.Millisecond {
		t.Errorf("three requests within %v", took)
	}
}

func TestStockHostHasItsTasksRun(t *testing.T) {
	h := newHost(t, true)
	s := newSuperexec(t, h, `echo > "${0%/*}/up$token"`)
	h.give(11)
	s.start()
	s.file("up11")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLinesGoToTheHostOnlyIfShared(t *testing.T) {
	for _, share := range []bool{true, false} {
		h := newHost(t, false)
		s := newSuperexec(t, h, `echo one; echo two >&2; sleep 0.2; exit 9`)
		s.cfg.ShareLogs = share
		s.start()
		h.give(11)
		if share {
			if diff := cmp.Diff([]string{"one\n", "two\n"}, h.linesUntil("two")); diff != "" {
				t.Error(diff)
			}
		}
		r := h.nextReport()
		if want := map[bool]string{true: "two", false: ""}[share]; r.exit.Detail != want {
			t.Errorf("share %v: detail %q", share, r.exit.Detail)
		}
		if !share && len(h.logs) > 0 {
			t.Errorf("lines left the machine: %q", <-h.logs)
		}
	}
}

func TestBoundOfApps(t *testing.T) {
	h := newHost(t, false)
	s := newSuperexec(t, h, `echo > "${0%/*}/up$token"; trap 'exit 0' TERM; while :; do sleep 600 & wait; done`)
	s.cfg.MaxApps = 2
	s.start()
	for id := range uint64(3) {
		h.give(11 + id)
	}
	s.file("up11")
	s.file("up12")
	if len(h.tasks) != 1 {
		t.Fatalf("%d tasks are left, want 1", len(h.tasks))
	}
	h.end("11")
	s.file("up13")
}

func TestTaskGivenOutAgainReplacesItsProcess(t *testing.T) {
	h := newHost(t, false)
	s := newSuperexec(t, h, `echo $$ >> "${0%/*}/up$token"; trap 'exit 0' TERM; while :; do sleep 600 & wait; done`).start()
	h.give(11)
	first := pidOf(t, s.file("up11"))
	h.give(11)
	h.nextReport()
	if err := first.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMissingPrograms(t *testing.T) {
	h := newHost(t, false)
	s := newSuperexec(t, h, ``)
	if err := os.Remove(filepath.Join(s.cfg.Python, "flwr-clientapp")); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), s.cfg); err == nil || !strings.Contains(err.Error(), "is flwr installed") {
		t.Errorf("Run = %v", err)
	}
}

func TestBadConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"address":      {RuntimeAddress: "nowhere", DataDir: t.TempDir()},
		"data folder":  {RuntimeAddress: "127.0.0.1:1"},
		"bound":        {RuntimeAddress: "127.0.0.1:1", DataDir: t.TempDir(), MaxApps: -1},
		"certificates": {RuntimeAddress: "127.0.0.1:1", DataDir: t.TempDir(), RootCertificates: "/none"},
	} {
		if err := Run(t.Context(), cfg); err == nil {
			t.Errorf("bad %s was accepted", name)
		}
	}
}

func TestSecretSigns(t *testing.T) {
	h := newHost(t, true)
	s := newSuperexec(t, h, ``)
	s.cfg.Secret = []byte("topsecret")
	s.start()
	header := <-h.asked
	for _, name := range []string{flwr.HeaderSuperExecTimestamp, flwr.HeaderSuperExecNonce, flwr.HeaderSuperExecBodySHA256, flwr.HeaderSuperExecSignature} {
		if header.Get(name) == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestSignature uses the test vector of Flower's own implementation.
func TestSignature(t *testing.T) {
	header := http.Header{}
	newSigner([]byte("topsecret")).signWith(header, []byte("\x0a\x0eflwr-serverapp"), 1800000000, "00112233445566778899aabbccddeeff")
	if got := header.Get(flwr.HeaderSuperExecSignature); got != "3adf6d3d02af3728cd084441ac5ce556857b9713f9d6666645d0ddd90ac6ec47" {
		t.Errorf("signature %s", got)
	}
}

func pidOf(t *testing.T, text string) process.Identity {
	t.Helper()
	var pid int
	if _, err := fmt.Sscan(text, &pid); err != nil {
		t.Fatal(err)
	}
	id, err := process.Of(pid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
