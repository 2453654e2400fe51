//go:build linux

package natlab

import (
	"fmt"
	"os"
	"testing"
)

// entered is why labs cannot be built here, or nil.
var entered error

func TestMain(m *testing.M) {
	if entered = Available(); entered == nil {
		entered = Enter()
	}
	os.Exit(m.Run())
}

// prefix returns a different prefix for each lab, so that none has to wait for another's namespaces.
var prefix = func() func() string {
	n := 0
	return func() string { n++; return fmt.Sprint("t", n) }
}()

func build(t *testing.T, sites ...Site) *Lab {
	t.Helper()
	if entered != nil {
		t.Skip("labs cannot be built here: ", entered)
	}
	for _, s := range sites {
		if reason := Shapes(); !s.Uplink.ideal() && reason != nil {
			t.Skip(reason)
		}
	}
	l, err := Build(Topology{Prefix: prefix(), Sites: sites})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
