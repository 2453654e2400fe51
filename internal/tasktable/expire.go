package tasktable

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Expire applies the deadlines that have passed: claims that were not activated become
// pending again, and running tasks that were silent are finished as failed. It returns both,
// as they are now, so that the caller can ring and can end what depends on them.
func Expire(tx *sql.Tx, now time.Time) (requeued, failed []task.Task, err error) {
	requeued, err = list(tx, `UPDATE tasks SET status = 'pending', starting_at = 0, active_until = 0, token_hash = NULL
		WHERE active_until > 0 AND active_until <= ? AND status = 'starting' RETURNING `+columns, sqldb.Micro(now))
	if err != nil {
		return nil, nil, fmt.Errorf("expire claims: %w", err)
	}
	failed, err = list(tx, `UPDATE tasks SET status = 'finished', sub_status = 'failed', details = ?, finished_at = ?,
			active_until = 0, token_hash = NULL
		WHERE active_until > 0 AND active_until <= ? AND status = 'running' RETURNING `+columns,
		task.SilentDetails, sqldb.Micro(now), sqldb.Micro(now))
	if err != nil {
		return nil, nil, fmt.Errorf("expire silent tasks: %w", err)
	}
	return requeued, failed, nil
}

// NextDeadline returns when Expire next has work; zero if no task is starting or running.
func NextDeadline(tx *sql.Tx) (time.Time, error) {
	var next sql.NullInt64
	if err := tx.QueryRow(`SELECT MIN(active_until) FROM tasks WHERE active_until > 0`).Scan(&next); err != nil {
		return time.Time{}, fmt.Errorf("find next task deadline: %w", err)
	}
	return sqldb.FromMicro(next.Int64), nil
}

// Extend gives all starting and running tasks at least until the given time. A host calls
// it when it starts: while it was down, no app could show signs of life.
func Extend(tx *sql.Tx, until time.Time) error {
	_, err := tx.Exec(`UPDATE tasks SET active_until = ? WHERE active_until > 0 AND active_until < ?`, sqldb.Micro(until), sqldb.Micro(until))
	if err != nil {
		return fmt.Errorf("extend tasks: %w", err)
	}
	return nil
}

// Requeue makes a starting or running task pending again and revokes its token, because
// its process is known to be gone and its work can be done by another. It returns ErrNotFound
// if the task is neither.
func Requeue(tx *sql.Tx, id uint64) (task.Task, error) {
	t, err := one(tx, `UPDATE tasks SET status = 'pending', starting_at = 0, running_at = 0, active_until = 0, token_hash = NULL
		WHERE task_id = ? AND active_until > 0 RETURNING `+columns, int64(id))
	if err != nil {
		return task.Task{}, fmt.Errorf("requeue task %d: %w", id, err)
	}
	return t, nil
}
