package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// linkNodeID is the SuperLink's node id in Flower's messages.
const linkNodeID = 1

// unfinishedRuns selects the ids of runs that are not finished, through the two indexes that hold only
// those.
const unfinishedRuns = `SELECT run_id FROM tasks WHERE status = 'pending' UNION SELECT run_id FROM tasks WHERE active_until > 0`

// CreateRun implements state.Runs.
func (s *Store) CreateRun(ctx context.Context, n state.NewRun) (state.Run, error) {
	var run state.Run
	err := s.write(ctx, func(c *change) error {
		var unfinished int
		if err := c.tx.QueryRow(`SELECT COUNT(*) FROM (` + unfinishedRuns + `)`).Scan(&unfinished); err != nil {
			return err
		}
		if unfinished >= state.MaxUnfinishedRuns {
			return fmt.Errorf("%w: %d unfinished runs", state.ErrTooMany, unfinished)
		}
		runID := task.NewID()
		seriesID, err := joinSeries(c, runID, n)
		if err != nil {
			return err
		}
		primary, err := tasktable.Create(c.tx, c.now, tasktable.New{RunID: runID, Type: n.TaskType, FABHash: n.FABHash})
		if err != nil {
			return err
		}
		if err := insertRun(c, runID, seriesID, primary.ID, n); err != nil {
			return err
		}
		if _, ok := objectKey(n.FABHash); ok {
			bundle := []string{n.FABHash}
			if err := registerObjects(c, runID, bundle); err != nil {
				return err
			}
			if err := holdObjects(c.tx, runID, bundle); err != nil {
				return err
			}
		}
		c.ring(state.KeyPendingTask())
		run, err = readRun(c.tx, runID)
		return err
	})
	if err != nil {
		return state.Run{}, fmt.Errorf("create run of %s: %w", n.FABID, err)
	}
	return run, nil
}

// joinSeries checks the series that a run continues, or begins one.
func joinSeries(c *change, runID uint64, n state.NewRun) (uint64, error) {
	now := sqldb.Micro(c.now)
	if n.SeriesID != 0 {
		err := one(c.tx, `UPDATE series SET updated_at = ? WHERE series_id = ?`, now, int64(n.SeriesID))
		if err != nil {
			return 0, fmt.Errorf("run series %d: %w", n.SeriesID, err)
		}
		return n.SeriesID, nil
	}
	seriesID := task.NewID()
	first, err := proto.Marshal(&flwrpb.Context{
		RunId: runID, SeriesId: seriesID, NodeId: linkNodeID, State: []byte{}, // an empty RecordDict
	})
	if err != nil {
		return 0, fmt.Errorf("encode context: %w", err)
	}
	_, err = c.tx.Exec(`INSERT INTO series (series_id, federation, context, created_at, updated_at) VALUES (?, ?, ?, ?, ?)`,
		int64(seriesID), n.Federation, first, now, now)
	return seriesID, err
}

func insertRun(c *change, runID, seriesID, taskID uint64, n state.NewRun) error {
	verifications, err := json.Marshal(n.Verifications)
	if err != nil {
		return fmt.Errorf("encode verifications: %w", err)
	}
	overrides, err := proto.Marshal(&flwrpb.StartRunRequest{OverrideConfig: n.OverrideConfig})
	if err != nil {
		return fmt.Errorf("encode run configuration: %w", err)
	}
	if overrides == nil {
		overrides = []byte{}
	}
	_, err = c.tx.Exec(`INSERT INTO runs (run_id, series_id, primary_task_id, created_at, fab_id, fab_version, fab_hash,
			verifications, override_config, federation, account_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(runID), int64(seriesID), int64(taskID), sqldb.Micro(c.now), n.FABID, n.FABVersion, n.FABHash,
		string(verifications), overrides, n.Federation, n.AccountID)
	return err
}

// Run implements state.Runs.
func (s *Store) Run(ctx context.Context, runID uint64) (state.Run, error) {
	var run state.Run
	err := s.read(ctx, func(tx *sql.Tx) error {
		var err error
		run, err = readRun(tx, runID)
		return err
	})
	return run, runErr("read", runID, err)
}

// ListRuns implements state.Runs.
func (s *Store) ListRuns(ctx context.Context, limit, skip uint64) ([]state.Run, error) {
	const all = 1 << 62 // more runs than there can be, and within the range of SQL's numbers
	if limit == 0 || limit > all {
		limit = all
	}
	return s.listRuns(ctx, `ORDER BY created_at DESC, run_id DESC LIMIT ? OFFSET ?`, int64(limit), int64(min(skip, all)))
}

// UnfinishedRuns implements state.Runs.
func (s *Store) UnfinishedRuns(ctx context.Context) ([]state.Run, error) {
	return s.listRuns(ctx, `WHERE run_id IN (`+unfinishedRuns+`)`)
}

func (s *Store) listRuns(ctx context.Context, which string, args ...any) ([]state.Run, error) {
	var runs []state.Run
	err := s.read(ctx, func(tx *sql.Tx) error {
		var err error
		runs, err = readRuns(tx, which, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return runs, nil
}

func readRun(tx *sql.Tx, runID uint64) (state.Run, error) {
	runs, err := readRuns(tx, `WHERE run_id = ?`, int64(runID))
	if err != nil {
		return state.Run{}, err
	}
	if len(runs) == 0 {
		return state.Run{}, state.ErrNotFound
	}
	return runs[0], nil
}

// readRuns reads runs and their primary tasks in two statements, however many runs there are.
func readRuns(tx *sql.Tx, which string, args ...any) ([]state.Run, error) {
	var runs []state.Run
	var primaries []uint64
	err := each(tx, func(scan func(...any) error) error {
		run, primary, err := scanRun(scan)
		runs, primaries = append(runs, run), append(primaries, primary)
		return err
	}, `SELECT run_id, series_id, primary_task_id, fab_id, fab_version, fab_hash, verifications, override_config,
		federation, account_id, bytes_sent, bytes_received, clientapp_time FROM runs `+which, args...)
	if err != nil {
		return nil, err
	}
	tasks, err := tasktable.GetAll(tx, primaries)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		runs[i].PrimaryTask = tasks[i]
	}
	return runs, nil
}

// scanRun reads a row, which is everything but the primary task.
func scanRun(scan func(dest ...any) error) (run state.Run, primary uint64, err error) {
	var id, series, first, sent, received, clientApp int64
	var verifications string
	var overrides []byte
	err = scan(&id, &series, &first, &run.FABID, &run.FABVersion, &run.FABHash, &verifications, &overrides,
		&run.Federation, &run.AccountID, &sent, &received, &clientApp)
	if err != nil {
		return run, 0, err
	}
	run.ID, run.SeriesID = uint64(id), uint64(series)
	run.BytesSent, run.BytesReceived = uint64(sent), uint64(received)
	run.ClientAppRuntime = time.Duration(clientApp) * time.Microsecond
	if err := json.Unmarshal([]byte(verifications), &run.Verifications); err != nil {
		return run, 0, fmt.Errorf("verifications of run %d: %w", run.ID, err)
	}
	var config flwrpb.StartRunRequest
	if err := proto.Unmarshal(overrides, &config); err != nil {
		return run, 0, fmt.Errorf("configuration of run %d: %w", run.ID, err)
	}
	run.OverrideConfig = config.GetOverrideConfig()
	return run, uint64(first), nil
}

// runUnfinished is nil for a run that is not finished, otherwise ErrNotFound or ErrRunFinished.
func runUnfinished(tx *sql.Tx, runID uint64) error {
	var status task.Status
	err := tx.QueryRow(`SELECT t.status FROM runs r JOIN tasks t ON t.task_id = r.primary_task_id WHERE r.run_id = ?`,
		int64(runID)).Scan(&status)
	if err != nil {
		return notFound(err)
	}
	if status == task.Finished {
		return state.ErrRunFinished
	}
	return nil
}

// FinishRun implements state.Runs.
func (s *Store) FinishRun(ctx context.Context, runID uint64, sub task.SubStatus, details string) error {
	return runErr("finish", runID, s.write(ctx, func(c *change) error {
		var primary int64
		if err := c.tx.QueryRow(`SELECT primary_task_id FROM runs WHERE run_id = ?`, int64(runID)).Scan(&primary); err != nil {
			return notFound(err)
		}
		return finishRun(c, runID, uint64(primary), sub, details)
	}))
}

// FinishTaskWithContext implements state.Runs.
func (s *Store) FinishTaskWithContext(ctx context.Context, taskID uint64, sub task.SubStatus, details string, seriesContext []byte, clientApp time.Duration) error {
	err := s.write(ctx, func(c *change) error {
		var runID, seriesID int64
		err := c.tx.QueryRow(`SELECT run_id, series_id FROM runs WHERE primary_task_id = ?`, int64(taskID)).Scan(&runID, &seriesID)
		if err != nil {
			return notFound(err)
		}
		if err := finishRun(c, uint64(runID), taskID, sub, details); err != nil {
			return err
		}
		if err := addClientAppTime(c.tx, uint64(runID), clientApp); err != nil || seriesContext == nil {
			return err
		}
		_, err = c.tx.Exec(`UPDATE series SET context = ?, updated_at = ? WHERE series_id = ?`,
			seriesContext, sqldb.Micro(c.now), seriesID)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish task %d: %w", taskID, err)
	}
	return nil
}

// finishRun ends the primary task and what depends on it.
func finishRun(c *change, runID, primary uint64, sub task.SubStatus, details string) error {
	_, err := tasktable.Finish(c.tx, c.now, primary, sub, details)
	if errors.Is(err, task.ErrFinished) {
		return state.ErrRunFinished
	}
	if err != nil {
		return err
	}
	return endRun(c, runID, primary)
}

// endRun ends what depends on a primary task that has just ended.
func endRun(c *change, runID, primary uint64) error {
	tasks, err := tasktable.ByRun(c.tx, runID)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if t.ID != primary && t.Status != task.Finished {
			if _, err := tasktable.Finish(c.tx, c.now, t.ID, task.Stopped, "The run has ended"); err != nil {
				return err
			}
			c.ring(state.KeyTask(t.ID))
		}
	}
	if _, err := c.tx.Exec(`DELETE FROM instructions WHERE run_id = ?`, int64(runID)); err != nil {
		return fmt.Errorf("drop messages: %w", err)
	}
	c.then(func(b *board) { b.endRun(runID) })
	c.ring(state.KeyTask(primary), state.KeyRun(runID), state.KeyRunEnds(), state.KeyReplies(runID))
	return nil
}

// AddRunStats implements state.Runs.
func (s *Store) AddRunStats(ctx context.Context, runID uint64, sent, received uint64, clientApp time.Duration) error {
	return runErr("add statistics to", runID, s.write(ctx, func(c *change) error {
		return one(c.tx, `UPDATE runs SET bytes_sent = bytes_sent + ?, bytes_received = bytes_received + ?,
			clientapp_time = clientapp_time + ? WHERE run_id = ?`, int64(sent), int64(received), clientApp.Microseconds(), int64(runID))
	}))
}

func addClientAppTime(tx *sql.Tx, runID uint64, clientApp time.Duration) error {
	if clientApp <= 0 {
		return nil
	}
	_, err := tx.Exec(`UPDATE runs SET clientapp_time = clientapp_time + ? WHERE run_id = ?`, clientApp.Microseconds(), int64(runID))
	return err
}

// SeriesContext implements state.Runs.
func (s *Store) SeriesContext(ctx context.Context, seriesID uint64) ([]byte, error) {
	var blob []byte
	err := s.read(ctx, func(tx *sql.Tx) error {
		return notFound(tx.QueryRow(`SELECT context FROM series WHERE series_id = ?`, int64(seriesID)).Scan(&blob))
	})
	if err != nil {
		return nil, fmt.Errorf("read context of series %d: %w", seriesID, err)
	}
	return blob, nil
}
