//go:build linux

package nat

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	harness "github.com/rhizome-fl/rhizome/e2e/world"
)

// This is the tour of examples/behind-nat: everybody is behind a NAT and is connected through
// a relay or directly, as their networks allow, and a real app produces a useful result.
func TestBehindNATExample(t *testing.T) {
	harness.NeedLab(t)
	cmd := exec.CommandContext(t.Context(), "../../examples/behind-nat/run.sh", "--python", venv(t))
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("run.sh: %v\n%s", err, tail(text, 60))
	}
	_, paths, _ := strings.Cut(text, "how everybody was reached")
	for node, want := range map[string]string{"clinic": "direct", "phone": "direct", "hospital": "through relay"} {
		if !regexp.MustCompile(`(?m)^` + node + ` +online +` + want).MatchString(paths) {
			t.Errorf("%s is not reached %s:\n%s", node, want, paths)
		}
	}
	if !regexp.MustCompile(`(?m)round 3: accuracy 0\.[89]`).MatchString(text) || !strings.Contains(text, "final weights sha256: ") {
		t.Errorf("the app has not learnt:\n%s", tail(text, 60))
	}
}
