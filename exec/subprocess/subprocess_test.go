package subprocess

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/exec/executor/executortest"
	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newExecutor makes an executor whose ClientApp is a script.
func newExecutor(t *testing.T, script string, limits Limits) *Executor {
	t.Helper()
	scripts := t.TempDir()
	if err := os.WriteFile(filepath.Join(scripts, task.TypeClientApp), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	e, err := New(python.Env{Scripts: scripts}, limits)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestConformance(t *testing.T) { executortest.Run(t, newExecutor(t, executortest.Shell, Limits{})) }

func TestLimitsThatMakeNoSense(t *testing.T) {
	for _, nice := range []int{-1, 20} {
		if _, err := New(python.Env{}, Limits{Nice: nice}); err == nil {
			t.Errorf("nice %d was accepted", nice)
		}
	}
}
