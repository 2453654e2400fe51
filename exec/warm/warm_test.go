package warm

import (
	"context"
	"encoding/json"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/exec/subprocess"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// environmentWith makes a Python environment whose "flwr" is a few lines long: enough to see
// what a process sees, without the weight of the real one (which the e2e tests use).
func environmentWith(t *testing.T, app string) python.Env {
	t.Helper()
	python3, err := osexec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 on this machine")
	}
	root := t.TempDir()
	run(t, python3, "-m", "venv", "--without-pip", root)
	found, err := filepath.Glob(filepath.Join(root, "lib", "python3*", "site-packages"))
	if err != nil || len(found) != 1 {
		t.Fatalf("site-packages of the venv: %v, %v", found, err)
	}
	site := found[0]
	write(t, filepath.Join(site, "standin", "__init__.py"), "")
	write(t, filepath.Join(site, "standin", "app.py"), app)
	write(t, filepath.Join(site, "standin", "heavy.py"), "loaded_in = __import__('os').getpid()\n")
	write(t, filepath.Join(site, "standin-1.0.dist-info", "METADATA"), "Metadata-Version: 2.1\nName: standin\nVersion: 1.0\n")
	write(t, filepath.Join(site, "standin-1.0.dist-info", "entry_points.txt"), "[console_scripts]\nflwr-clientapp = standin.app:main\n")
	script := filepath.Join(root, "bin", "flwr-clientapp")
	write(t, script, "#!"+filepath.Join(root, "bin", "python3")+"\nimport sys\nfrom standin.app import main\nsys.exit(main())\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	env, err := python.Find(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// fixture is an executor with a folder for the output of apps.
type fixture struct {
	*Executor
	t   *testing.T
	dir string
}

func newFixture(t *testing.T, env python.Env) *fixture {
	t.Helper()
	return newFixtureWith(t, env, subprocess.Limits{})
}

func newFixtureWith(t *testing.T, env python.Env, limits subprocess.Limits) *fixture {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	dir := t.TempDir()
	cold, err := subprocess.New(env, limits)
	if err != nil {
		t.Fatal(err)
	}
	output, err := os.Create(filepath.Join(dir, "forkserver.log"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Dir: dir, Python: env, Cold: cold, Output: output})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		servers := e.servers
		e.Close()
		for _, k := range servers {
			<-k.lost
		}
		_ = output.Close()
		goleak.VerifyNone(t, leaks)
	})
	return &fixture{Executor: e, t: t, dir: dir}
}

// start runs the app; wait returns how it ended and what it printed.
func (f *fixture) start(fabHash string, args ...string) (executor.Process, func() (task.Exit, string)) {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "out")
	output, err := os.Create(path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer output.Close()
	p, err := f.Start(executor.Spec{
		Type: task.TypeClientApp, FABHash: fabHash, Args: args, Output: output,
		TokenFile: filepath.Join(f.dir, "token"), Env: []string{"APP_SETTING=from spec"},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return p, func() (task.Exit, string) {
		f.t.Helper()
		ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
		defer cancel()
		exit, err := p.Wait(ctx)
		if err != nil {
			f.t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			f.t.Fatal(err)
		}
		return exit, string(text)
	}
}

const observer = `
import json, os, random, signal, sys
def main():
    print(json.dumps(dict(argv=sys.argv[1:], name=os.path.basename(sys.argv[0]), setting=os.environ.get("APP_SETTING"),
        leader=os.getpid() == os.getpgid(0), stdin=sys.stdin.read(), term=signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        interrupt=signal.getsignal(signal.SIGINT) is signal.default_int_handler, path=os.path.basename(sys.path[0]),
        random=random.random(), parent=os.getppid(), descriptors=len(os.listdir("/proc/self/fd")), cwd=os.getcwd())))
    print("to stderr", file=sys.stderr)
`

type observed struct {
	Argv                       []string
	Name, Setting, Stdin, Path string
	Leader, Term, Interrupt    bool
	Random                     float64
	Parent, Descriptors        int
	CWD                        string
}

func TestWarmAppSeesWhatAColdAppSees(t *testing.T) {
	env := environmentWith(t, observer)
	f := newFixture(t, env)
	see := func(p executor.Process, wait func() (task.Exit, string)) observed {
		exit, text := wait()
		if exit.Code != 0 {
			t.Fatalf("exit %+v: %s", exit, text)
		}
		var o observed
		if err := json.NewDecoder(strings.NewReader(text)).Decode(&o); err != nil || !strings.Contains(text, "to stderr") {
			t.Fatalf("output %q: %v", text, err)
		}
		return o
	}
	warm := see(f.start("", "--a", "b"))
	again := see(f.start("", "--a", "b"))
	if server := f.servers[0].cmd.Process.Pid; warm.Parent != server || again.Parent != server {
		t.Fatalf("started by %d and %d, want the fork server %d", warm.Parent, again.Parent, server)
	}
	if warm.Random == again.Random {
		t.Error("two apps drew the same random number")
	}
	f.mu.Lock()
	f.retryAt = time.Now().Add(time.Hour)
	lost := f.servers[0]
	f.remove(lost)
	f.mu.Unlock()
	lost.close()
	cold := see(f.start("", "--a", "b"))
	if cold.Parent != os.Getpid() {
		t.Fatalf("started by %d, want a cold start by this process", cold.Parent)
	}
	warm.Random, cold.Random, warm.Parent, cold.Parent = 0, 0, 0, 0
	got, want := mustJSON(t, warm), mustJSON(t, cold)
	if got != want {
		t.Errorf("a warm app sees\n%s\na cold one\n%s", got, want)
	}
}

func TestExitStatus(t *testing.T) {
	env := environmentWith(t, `
import os, signal, sys, threading, time, atexit
def main():
    how = sys.argv[1]
    atexit.register(print, "handler ran")
    if how == "three": return 3
    if how == "exit": sys.exit(4)
    if how == "text": sys.exit("last words")
    if how == "raise": raise ValueError("boom")
    if how == "killed": os.kill(os.getpid(), signal.SIGKILL)
    if how == "thread": threading.Thread(target=lambda: (time.sleep(0.05), print("thread ended"))).start()
`)
	f := newFixture(t, env)
	for how, want := range map[string]struct {
		exit task.Exit
		text string
	}{
		"three":  {task.Exit{Code: 3}, "handler ran"},
		"exit":   {task.Exit{Code: 4}, "handler ran"},
		"text":   {task.Exit{Code: 1}, "last words"},
		"raise":  {task.Exit{Code: 1}, "ValueError: boom"},
		"killed": {task.Exit{Code: -1, Signal: "SIGKILL"}, ""},
		"thread": {task.Exit{Code: 0}, "thread ended"},
	} {
		_, wait := f.start("", how)
		if exit, text := wait(); exit != want.exit || !strings.Contains(text, want.text) {
			t.Errorf("%s: exit %+v, output %q; want %+v and %q", how, exit, text, want.exit, want.text)
		}
	}
}

func TestLearnsWhatAnAppImports(t *testing.T) {
	env := environmentWith(t, `
import os
def main():
    import standin.heavy
    print("own" if standin.heavy.loaded_in == os.getpid() else "shared")
`)
	f := newFixture(t, env)
	const fab = "fab1"
	if _, text := second(f.start(fab))(); text != "own\n" {
		t.Fatalf("first start printed %q: the module was preloaded before it was seen", text)
	}
	// The server for the app loads in the background; until it is ready, the common one serves.
	_, wait := f.start(fab)
	wait()
	f.mu.Lock()
	own := f.find(fab)
	f.mu.Unlock()
	if own == nil {
		t.Fatal("no server loads for an app that was seen")
	}
	<-own.ready
	if _, text := second(f.start(fab))(); text != "shared\n" {
		t.Fatalf("printed %q after the module was learnt", text)
	}

	// A package is upgraded: what was preloaded is stale.
	found, _ := filepath.Glob(filepath.Join(env.Root, "lib", "python3*", "site-packages"))
	write(t, filepath.Join(found[0], "standin", "heavy.py"), "loaded_in = 0\n")
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(found[0], future, future); err != nil {
		t.Fatal(err)
	}
	_, wait = f.start(fab)
	wait()
	if own.serves() {
		<-own.lost // the stale one ends once it has no apps
	}
}

func TestLostServerFallsBackToCold(t *testing.T) {
	env := environmentWith(t, "import os\ndef main():\n    print(os.getppid())\n")
	f := newFixture(t, env)
	_, wait := f.start("")
	wait()
	server := f.servers[0]
	if err := server.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-server.lost
	if _, text := second(f.start(""))(); strings.TrimSpace(text) != strconv.Itoa(os.Getpid()) {
		t.Fatalf("parent %q, want a cold start by %d", text, os.Getpid())
	}
}

func TestAppOutlivesItsServer(t *testing.T) {
	env := environmentWith(t, "import time\ndef main():\n    print('up', flush=True)\n    time.sleep(30)\n")
	f := newFixture(t, env)
	p, wait := f.start("")
	found, err := f.Find(filepath.Join(f.dir, "token"))
	if err != nil {
		t.Fatal("an app without a handle written down is not found: ", err)
	}
	if string(found.Handle()) != string(p.Handle()) {
		t.Fatalf("found %s, want %s", found.Handle(), p.Handle())
	}
	if err := f.servers[0].cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-f.servers[0].lost
	taken, err := f.Attach(p.Handle())
	if err != nil {
		t.Fatal(err)
	}
	taken.Stop(0)
	if exit, _ := wait(); exit.Code != -1 {
		t.Fatalf("exit %+v, want an unknown status", exit)
	}
}

func second(_ executor.Process, wait func() (task.Exit, string)) func() (task.Exit, string) {
	return wait
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := osexec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}
