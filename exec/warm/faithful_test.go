package warm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/exec/subprocess"
)

// A preloaded module must not make a difference that an app could notice or its result could show.

const fab = "fab1"

// printsHeavy is an app that imports a module and prints what the module has seen.
const printsHeavy = `
def main():
    import standin.heavy
    print(standin.heavy.seen)
`

// environmentWithHeavy makes an environment with such an app and the text of its module.
func environmentWithHeavy(t *testing.T, app, heavy string) python.Env {
	t.Helper()
	env := environmentWith(t, app)
	write(t, filepath.Join(sitePackages(t, env), "standin", "heavy.py"), heavy)
	return env
}

func sitePackages(t *testing.T, env python.Env) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(env.Root, "lib", "python3*", "site-packages"))
	if err != nil || len(found) != 1 {
		t.Fatalf("site-packages of the venv: %v, %v", found, err)
	}
	return found[0]
}

// output starts the app once and returns what it printed.
func (f *fixture) output() string {
	f.t.Helper()
	_, wait := f.start(fab)
	exit, text := wait()
	if exit.Code != 0 {
		f.t.Fatalf("exit %+v: %s", exit, text)
	}
	return strings.TrimSpace(text)
}

// own returns the server that was loaded for the app; nil if none was, or if it was forgotten.
func (f *fixture) own() *kept {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.find(fab)
}

func TestModuleSeesTheVariablesThatTheAppSets(t *testing.T) {
	const heavy = "import os\nos.environ['OF_THE_MODULE'] = '1'\nseen = os.environ.get('OF_THE_APP', 'nothing')\n"
	for name, test := range map[string]struct {
		app, want string
		own       bool
	}{
		"none":    {printsHeavy, "nothing", true},
		"set":     {"import os\nos.environ['OF_THE_APP'] = 'it'" + printsHeavy, "it", false},
		"through": {"import json, os, functools\nfunctools.partial(os.environ.update, OF_THE_APP='it')()" + printsHeavy, "it", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, environmentWithHeavy(t, "def main():\n    import sys; sys.path.insert(0, sys.argv[1] if sys.argv[1:] else ''); import theapp; theapp.main()\n", heavy))
			// The app itself lies outside the environment, as apps in FLWR_HOME do.
			folder := t.TempDir()
			write(t, filepath.Join(folder, "theapp.py"), test.app)
			run := func() string {
				_, wait := f.start(fab, folder)
				_, text := wait()
				return strings.TrimSpace(text)
			}
			for i := range 3 {
				if got := run(); got != test.want {
					t.Errorf("start %d: the module saw %q, want %q", i, got, test.want)
				}
				if own := f.own(); own != nil {
					<-own.ready
				}
			}
			if own := f.own(); (own != nil) != test.own {
				t.Errorf("a server of its own was loaded: %v, want %v", own != nil, test.own)
			}
		})
	}
}

func TestThreadsMakeAServerUnfit(t *testing.T) {
	f := newFixture(t, environmentWithHeavy(t, printsHeavy, `
import _thread, os, threading, time
begun = threading.Lock()
begun.acquire()
_thread.start_new_thread(lambda: (begun.release(), time.sleep(3600)), ())  # as a C library does
begun.acquire()
seen = os.getpid()
`))
	first := f.output()
	_, wait := f.start(fab) // loads the server of the app
	wait()
	if own := f.own(); own != nil {
		<-own.ready
	}
	for range 2 {
		if got := f.output(); got == first {
			t.Fatal("an app was forked from a process with threads")
		}
	}
	if f.own() != nil {
		t.Error("a server with threads is kept")
	}
	if f.find("") == nil {
		t.Error("the server for all apps is gone")
	}
}

func TestPackagesThatChangeDuringTheImportsAreStale(t *testing.T) {
	f := newFixture(t, environmentWithHeavy(t, printsHeavy, `
import os
site = os.path.dirname(os.path.dirname(__file__))
seen = "it"
if os.getsid(0) != os.getpid():  # in the server, not in a fork
    open(os.path.join(site, "upgraded"), "w").close()
`))
	write(t, f.learned(fab), `["standin.heavy"]`)
	var servers [2]*kept
	for i := range servers {
		f.output()
		if servers[i] = f.own(); servers[i] == nil {
			t.Fatal("no server was loaded for the app")
		}
		<-servers[i].ready
	}
	if servers[0] == servers[1] {
		t.Error("a server that was loading while packages changed is still used")
	}
	if servers[1].stale() {
		t.Error("the server is stale although nothing has changed since it began to load")
	}
}

func TestAServerThatEatsMemoryHasTheLimitOfItsApps(t *testing.T) {
	const limit = 1 << 30
	f := newFixtureWith(t, environmentWithHeavy(t, `
def main():
    try:
        import standin.heavy
    except MemoryError:
        print("too much")
`, "eaten = bytearray(2 << 30)\n"), subprocess.Limits{AddressSpace: limit})
	write(t, f.learned(fab), `["standin.heavy"]`)
	for range 2 {
		if got := f.output(); got != "too much" {
			t.Errorf("the app printed %q", got)
		}
		own := f.own()
		if own == nil {
			t.Fatal("no server was loaded for the app")
		}
		<-own.ready
		if own.err != nil {
			t.Errorf("the server does not serve: %v", own.err)
		}
	}
}

func TestAServerDoesNotGrowWithItsApps(t *testing.T) {
	f := newFixture(t, environmentWith(t, "def main():\n    print('x' * 1000)\n"))
	serve := func(apps int) (kilobytes int) {
		for range apps {
			_, wait := f.start("")
			wait()
		}
		pid := f.find("").cmd.Process.Pid
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "VmRSS:")
		if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
			t.Fatal(err)
		}
		return kilobytes
	}
	before := serve(20)
	if after := serve(200); after > before+2000 {
		t.Errorf("the server has %d kB after 20 apps and %d kB after 220", before, after)
	}
}
