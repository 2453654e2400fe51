package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/admin"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rhizome": main,
	})
}

// The scripts run commands and daemons that need no network but loopback. `refuses CODE ARGS`
// runs rhizome and wants that exit code, one line on stderr and nothing on stdout; `awaitdaemon
// DIR` waits until the daemon of that data directory answers.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			// Any flwr that this machine may have is kept out.
			ours, _, _ := strings.Cut(env.Getenv("PATH"), string(os.PathListSeparator))
			env.Setenv("PATH", ours+":/usr/bin:/bin")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"refuses": refuses, "awaitdaemon": awaitDaemon},
	})
}

func refuses(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: refuses CODE ARGS...")
	}
	// A shell tells the exit code, since testscript knows only whether a command failed.
	err := ts.Exec("sh", append([]string{"-c", `rhizome "$@"; code=$?; [ $code = 0 ] && exit 0; [ $code = "$0" ] && exit 1; echo "exit code $code, want $0"`, args[0]}, args[1:]...)...)
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	switch {
	case err == nil:
		ts.Fatalf("rhizome %q is not refused as it should be: %s", args[1:], stdout)
	case stdout != "":
		ts.Fatalf("rhizome %q prints on stdout: %s", args[1:], stdout)
	case !strings.HasPrefix(stderr, "rhizome: ") || strings.Count(stderr, "\n") != 1:
		ts.Fatalf("rhizome %q does not say in one line what is wrong: %q", args[1:], stderr)
	}
}

// daemonPatience is how long a daemon may take to answer on a busy machine.
const daemonPatience = time.Minute

func awaitDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: awaitdaemon DIR")
	}
	client, err := admin.NewClient(ts.MkAbs(args[0]))
	ts.Check(err)
	defer client.Close()
	limit := time.Now().Add(daemonPatience)
	for {
		err := client.Call(context.Background(), http.MethodGet, "/status", nil, nil)
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("the daemon of %s does not answer: %v", args[0], err)
		}
		time.Sleep(5 * time.Millisecond) // its socket has no bell
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	walk(newRoot(), func(cmd *cobra.Command) {
		name := cmd.CommandPath()
		if cmd.Short == "" {
			t.Errorf("%s does not say what it is for", name)
		}
		if strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: %q ends with a dot", name, cmd.Short)
		}
		if cmd.HasSubCommands() {
			return // its help shows those
		}
		if !strings.Contains(cmd.Example, name) {
			t.Errorf("%s --help shows no example of it: %q", name, cmd.Example)
		}
	})
}

// The flags in the examples must exist.
func TestExamplesAreCommandsThatExist(t *testing.T) {
	walk(newRoot(), func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
			args, isOurs := strings.CutPrefix(line, "rhizome ")
			if !isOurs {
				continue
			}
			found, rest, err := newRoot().Find(strings.Fields(args))
			if err != nil {
				t.Errorf("example %q: %v", line, err)
				continue
			}
			for _, word := range rest {
				flag, isFlag := strings.CutPrefix(word, "--")
				if isFlag && found.Flags().Lookup(flag) == nil && found.InheritedFlags().Lookup(flag) == nil {
					t.Errorf("example %q: %s has no flag --%s", line, found.CommandPath(), flag)
				}
			}
		}
	})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, child := range cmd.Commands() {
		walk(child, visit)
	}
}
