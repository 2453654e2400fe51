package warm

import (
	osexec "os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// coldOutput runs the app on its own and returns what it printed.
func coldOutput(t *testing.T, env python.Env) string {
	t.Helper()
	program, err := env.Program(task.TypeClientApp)
	if err != nil {
		t.Fatal(err)
	}
	out, err := osexec.CommandContext(t.Context(), program).Output()
	if err != nil {
		t.Fatalf("a cold app: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// platformAsker asks for everything that flwr asks for in every app.
const platformAsker = `
import platform, subprocess
def refuse(*_, **__):
    raise AssertionError("asked a program")
def main():
    subprocess.check_output = refuse
    print(platform.platform(), platform.architecture(), platform.uname())
`

func TestAppNeedNotAskAboutItsPlatform(t *testing.T) {
	warm := newFixture(t, environmentWith(t, platformAsker)).output()
	told := environmentWith(t, `
import platform
def main():
    print(platform.platform(), platform.architecture(), platform.uname())
`)
	if cold := coldOutput(t, told); warm != cold {
		t.Errorf("a warm app is told %s, a cold one %s", warm, cold)
	}
}

// When an app takes in a large model, the kernel clears its pages once, not for each array.
func TestAppKeepsItsMemory(t *testing.T) {
	env := environmentWith(t, `
import resource
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def main():
    bytearray(64 << 20)
    before = faults()
    for _ in range(4):
        bytearray(64 << 20)
    print(faults() - before)
`)
	faultsOf := func(text string) int {
		faults, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return faults
	}
	warm := faultsOf(newFixture(t, env).output())
	cold := faultsOf(coldOutput(t, env))
	// 4 times 64 MiB are 65,536 pages, or 128 huge ones.
	if warm > cold/10 {
		t.Errorf("%d page faults in a warm app, %d in a cold one", warm, cold)
	}
}
