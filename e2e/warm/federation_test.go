package warm

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// testNodes is how many nodes a federation has, on loopback; slots is how many tasks each can run,
// one for each run that a test has at the same time.
const (
	testNodes = 2
	slots     = 1 + 4
)

// threads lets the libraries of apps have thread pools, which the environment of a world does not.
var threads = []string{"OMP_NUM_THREADS=2", "OPENBLAS_NUM_THREADS=2"}

// Python environments: that of all tests, and a second one.
const (
	usual   = "usual"
	withJAX = "1.41-jax"
)

func newWorld(t *testing.T, environment string) *world.World {
	t.Helper()
	if environment == usual {
		return world.New(t)
	}
	return world.NewOf(t, environment)
}

// federation is a link, its nodes and the stock command.
type federation struct {
	t *testing.T
	*world.World
	*world.Flwr
}

// newFederation starts a federation in a world; the flags are for link and nodes.
func newFederation(t *testing.T, w *world.World, nodes int, flags ...string) *federation {
	t.Helper()
	_, link := w.Link(flags...)
	ticket := w.Ticket("--uses", fmt.Sprint(nodes))
	for i := range nodes {
		name := fmt.Sprintf("node%d", i)
		args := append([]string{
			"node", "--data", w.Path(name), "--join", ticket, "--name", name, "--python", w.Venv(),
			"--node-config", world.NodeConfig(i, nodes), "--slots", fmt.Sprint(slots),
		}, flags...)
		w.Start(name, world.Ready, threads, world.Binary(t), args...)
	}
	return &federation{t, w, w.Flwr(link)}
}

// at makes t the test that fails when something goes wrong from now on.
func (f *federation) at(t *testing.T) {
	f.t = t
	f.For(t)
}

// app copies a test app into the world, and has the test's files replace some of its own.
func (f *federation) app(name string, files map[string]string) string {
	f.t.Helper()
	source := filepath.Join("..", "testdata", "apps", name)
	folder, err := os.MkdirTemp(f.Path(), name+"-")
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.CopyFS(folder, os.DirFS(source)); err != nil {
		f.t.Fatal(err)
	}
	for path, text := range files {
		f.write(filepath.Join(folder, path), text)
	}
	return folder
}

// folder makes a folder in the world.
func (f *federation) folder(name string) string {
	f.t.Helper()
	path := f.Path(name)
	if err := os.Mkdir(path, 0o700); err != nil {
		f.t.Fatal(err)
	}
	return path
}

func (f *federation) write(path, text string) {
	f.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// run runs an app to its end and returns what it printed.
func (f *federation) run(app string, settings ...string) lines {
	f.t.Helper()
	return lines{f.t, f.Run("run", app, "test", "--stream", "-c", strings.Join(settings, " "))}
}

// lines is what an app printed, among lines from Flower.
type lines struct {
	t    *testing.T
	text string
}

// of makes t the test that fails when something is missing from the lines.
func (l lines) of(t *testing.T) lines { return lines{t, l.text} }

// all returns the rest of each line that begins with these words; there must be at least one.
func (l lines) all(words string) []string {
	l.t.Helper()
	var rest []string
	for _, match := range regexp.MustCompile(`(?m)^`+words+` (.*)$`).FindAllStringSubmatch(l.text, -1) {
		rest = append(rest, strings.TrimSpace(match[1]))
	}
	if len(rest) == 0 {
		l.t.Fatalf("no line begins with %q:\n%s", words, world.Tail(l.text, 40))
	}
	return rest
}
