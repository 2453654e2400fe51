//go:build linux

package world

import (
	"errors"
	"testing"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// noLab is why labs cannot be built here; it is nil if they can.
var noLab error

// MainInLab is Main for packages whose tests build labs: before it runs them, it enters the
// namespaces in which labs do not need root. Call it first in TestMain.
func MainInLab(m *testing.M) int {
	if noLab = errors.Join(natlab.Available(), natlab.Shapes()); noLab == nil {
		noLab = natlab.Enter()
	}
	return Main(m)
}

// NeedLab skips a test where labs cannot be built.
func NeedLab(t testing.TB) {
	t.Helper()
	if noLab != nil {
		t.Skip("labs cannot be built here: ", noLab)
	}
}
