//go:build linux

package nat

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// entered is why labs cannot be built here, or nil.
var entered error

func TestMain(m *testing.M) {
	if entered = errors.Join(natlab.Available(), natlab.Shapes()); entered == nil {
		entered = natlab.Enter()
	}
	code := m.Run()
	if binary.path != "" {
		_ = os.RemoveAll(filepath.Dir(binary.path))
	}
	os.Exit(code)
}

var binary struct {
	once sync.Once
	path string
	err  error
}

// rhizome builds the binary once for all tests.
func rhizome(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "rhizome-nat-")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "rhizome")
		build := exec.Command("go", "build", "-o", binary.path, "../../cmd/rhizome")
		build.Env = append([]string{"CGO_ENABLED=0"}, os.Environ()...) // unless it is set: race.sh does
		if out, err := build.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("build the binary: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// recording tells whether figures are to be measured for docs/connectivity.md.
func recording() bool { return os.Getenv("RHIZOME_CONNECTIVITY") != "" }

// beside runs a test that mostly waits beside others, unless figures are measured.
func beside(t *testing.T) {
	if !recording() {
		t.Parallel()
	}
}
