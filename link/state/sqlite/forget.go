package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/link/state"
)

// ForgetRuns implements state.Runs.
func (s *Store) ForgetRuns(ctx context.Context, now time.Time, keep state.Retention) (forgotten []uint64, next time.Time, err error) {
	plan, err := s.planForget(ctx, now, keep)
	for rest := plan.victims; err == nil && len(rest) > 0; {
		batch := rest[:min(len(rest), forgetBatch)]
		rest = rest[len(batch):]
		err = s.write(ctx, func(c *change) error {
			for _, id := range batch {
				if err := forgetRun(c.tx, id); err != nil {
					return fmt.Errorf("run %d: %w", id, err)
				}
			}
			return nil
		})
		if err == nil {
			forgotten = append(forgotten, batch...)
		}
	}
	if err != nil {
		return forgotten, time.Time{}, fmt.Errorf("forget finished runs: %w", err)
	}
	return forgotten, plan.next, nil
}

// forgetPlan is what a retention means at this moment.
type forgetPlan struct {
	victims []uint64 // oldest first
	next    time.Time
}

func (p *forgetPlan) again(at time.Time) {
	if p.next.IsZero() || at.Before(p.next) {
		p.next = at
	}
}

// planForget walks through the finished runs, newest first, until the retention is used up.
func (s *Store) planForget(ctx context.Context, now time.Time, keep state.Retention) (forgetPlan, error) {
	var plan forgetPlan
	var kept int64
	held := make(map[int64]struct{}) // series that were counted
	err := s.read(ctx, func(tx *sql.Tx) error {
		return each(tx, func(scan func(...any) error) error {
			var run, series, finished, objects, logs, context int64
			if err := scan(&run, &series, &finished, &objects, &logs, &context); err != nil {
				return err
			}
			size := logs + state.RunRowBytes
			if _, counted := held[series]; !counted {
				size += context
			}
			ends := sqldb.FromMicro(finished).Add(keep.Age)
			switch {
			case (keep.Age <= 0 || now.Before(ends)) && (keep.Bytes <= 0 || kept+size <= keep.Bytes):
				kept += size
				held[series] = struct{}{}
				if keep.Age > 0 {
					plan.again(ends)
				}
			case objects > 0: // ReleaseObjects has to come first
				plan.again(now.Add(forgetRetry))
			default:
				kept = max(kept, keep.Bytes) // all older runs go as well, whatever their size
				plan.victims = append(plan.victims, uint64(run))
			}
			return nil
		}, `SELECT r.run_id, r.series_id, t.finished_at, r.objects, r.log_bytes, length(s.context)
			FROM runs r JOIN tasks t ON t.task_id = r.primary_task_id JOIN series s ON s.series_id = r.series_id
			WHERE t.status = 'finished' ORDER BY t.finished_at DESC, r.run_id DESC`)
	})
	slices.Reverse(plan.victims)
	return plan, err
}

// forgetRun removes a run that is finished and holds nothing; for any other run it is an error.
func forgetRun(tx *sql.Tx, runID uint64) error {
	if err := runUnfinished(tx, runID); !errors.Is(err, state.ErrRunFinished) {
		return fmt.Errorf("it is not finished: %w", errors.Join(state.ErrNotAllowed, err))
	}
	var series int64
	if _, err := tx.Exec(`DELETE FROM run_logs WHERE run_id = ?`, int64(runID)); err != nil {
		return err
	}
	err := tx.QueryRow(`DELETE FROM runs WHERE run_id = ? AND objects = 0 RETURNING series_id`, int64(runID)).Scan(&series)
	if err != nil {
		return notFound(err)
	}
	if err := tasktable.Forget(tx, runID); err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM series WHERE series_id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE series_id = ?1)`, series)
	return err
}
