package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	statetest.Run(t, func(ctx context.Context, dir string, now func() time.Time) (state.Store, error) {
		return Open(ctx, filepath.Join(dir, "state.db"), Options{Now: now})
	})
}
