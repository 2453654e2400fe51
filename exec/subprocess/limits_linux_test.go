package subprocess

import (
	"os"
	"testing"
)

func TestLimitsHold(t *testing.T) {
	p, _, out := start(t, `read _ < "`+fifoIn(t)+`"; ulimit -n; ulimit -v; nice`, Limits{OpenFiles: 77, AddressSpace: 1 << 30, Nice: 7})
	release(t)
	if exit, err := p.Wait(t.Context()); err != nil || exit.Code != 0 {
		t.Fatalf("Wait = %+v, %v", exit, err)
	}
	if got, _ := os.ReadFile(out); string(got) != "77\n1048576\n7\n" {
		t.Errorf("limits seen by the app: %q", got)
	}
}
