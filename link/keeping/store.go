package keeping

import (
	"context"
	"time"

	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/state"
)

// These are what each keeper needs of [state.Store]; the contracts are there.
type (
	// DeadlineStore knows what expires.
	DeadlineStore interface {
		Bell() *wake.Bell
		Expire(ctx context.Context, now time.Time) (next time.Time, err error)
	}

	// RunStore knows which runs there are and what they hold.
	RunStore interface {
		Bell() *wake.Bell
		Run(ctx context.Context, runID uint64) (state.Run, error)
		UnfinishedRuns(ctx context.Context) ([]state.Run, error)
		FinishedRunsHoldingObjects(ctx context.Context) ([]uint64, error)
		ReleaseObjects(ctx context.Context, runID uint64, remove func(objectID string) error) error
	}

	// RetentionStore knows how much room finished runs take.
	RetentionStore interface {
		Bell() *wake.Bell
		ForgetRuns(ctx context.Context, now time.Time, keep state.Retention) (forgotten []uint64, next time.Time, err error)
	}

	// SpareStore knows which objects no message needs.
	SpareStore interface {
		Bell() *wake.Bell
		UnfinishedRuns(ctx context.Context) ([]state.Run, error)
		SpareObjects(ctx context.Context, runID uint64, before time.Time) ([]string, error)
		ReleaseSpareObjects(ctx context.Context, runID uint64, before time.Time, objectIDs []string, remove func(objectID string) error) error
	}
)
