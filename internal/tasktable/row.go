package tasktable

import (
	"database/sql"
	"errors"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// columns in the order in which scan reads them.
const columns = `task_id, run_id, type, fab_hash, message_id, status, sub_status, details,
	pending_at, starting_at, running_at, finished_at, active_until`

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (task.Task, error) {
	var t task.Task
	var id, run, pending, starting, running, finished, until int64
	err := row.Scan(&id, &run, &t.Type, &t.FABHash, &t.MessageID, &t.Status, &t.SubStatus, &t.Details,
		&pending, &starting, &running, &finished, &until)
	if err != nil {
		return task.Task{}, err
	}
	t.ID, t.RunID = uint64(id), uint64(run)
	t.PendingAt, t.StartingAt = sqldb.FromMicro(pending), sqldb.FromMicro(starting)
	t.RunningAt, t.FinishedAt = sqldb.FromMicro(running), sqldb.FromMicro(finished)
	t.ActiveUntil = sqldb.FromMicro(until)
	return t, nil
}

// one reads the single task that a statement returns. It returns ErrNotFound if there is none.
func one(tx *sql.Tx, query string, args ...any) (task.Task, error) {
	t, err := scan(tx.QueryRow(query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return task.Task{}, task.ErrNotFound
	}
	return t, err
}

func list(tx *sql.Tx, query string, args ...any) ([]task.Task, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tasks []task.Task
	for rows.Next() {
		t, err := scan(rows)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, rows.Err()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return sqldb.FromMicro(sqldb.Micro(b))
}
