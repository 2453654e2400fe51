package tasktable

import (
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the schema of the table, with the goose files at its root. It has versions
// of its own: pass it to sqldb.Open as the component "tasks".
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the path is a constant and valid
	}
	return sub
}

// New is what a task is created from.
type New struct {
	RunID     uint64
	Type      string
	FABHash   string
	MessageID string
}

// Create adds a pending task.
func Create(tx *sql.Tx, now time.Time, n New) (task.Task, error) {
	t := task.Task{ID: task.NewID(), RunID: n.RunID, Type: n.Type, FABHash: n.FABHash, MessageID: n.MessageID,
		Status: task.Pending, PendingAt: sqldb.FromMicro(sqldb.Micro(now))}
	_, err := tx.Exec(`INSERT INTO tasks (task_id, run_id, type, fab_hash, message_id, status, sub_status, details,
			pending_at, starting_at, running_at, finished_at, active_until)
		VALUES (?, ?, ?, ?, ?, 'pending', '', '', ?, 0, 0, 0, 0)`,
		int64(t.ID), int64(t.RunID), t.Type, t.FABHash, t.MessageID, sqldb.Micro(now))
	if err != nil {
		return task.Task{}, fmt.Errorf("create task of run %d: %w", n.RunID, err)
	}
	return t, nil
}

// Claim moves the oldest pending task of one of the types to starting and issues its
// token; ok is false if there is none.
func Claim(tx *sql.Tx, now time.Time, types []string) (t task.Task, token string, ok bool, err error) {
	list, err := json.Marshal(types)
	if err != nil {
		return task.Task{}, "", false, fmt.Errorf("claim task: %w", err)
	}
	var id int64
	err = tx.QueryRow(`SELECT task_id FROM tasks WHERE status = 'pending' AND type IN (SELECT value FROM json_each(?))
		ORDER BY pending_at, task_id LIMIT 1`, string(list)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return task.Task{}, "", false, nil
	}
	if err != nil {
		return task.Task{}, "", false, fmt.Errorf("claim task: %w", err)
	}
	t, token, err = ClaimID(tx, now, uint64(id))
	return t, token, err == nil, err
}

// ClaimID is Claim for a pending task that the caller has chosen. It returns ErrNotFound if the
// task is unknown or not pending.
func ClaimID(tx *sql.Tx, now time.Time, id uint64) (task.Task, string, error) {
	token := task.NewToken()
	t, err := one(tx, `UPDATE tasks SET status = 'starting', starting_at = ?, active_until = ?, token_hash = ?
		WHERE task_id = ? AND status = 'pending' RETURNING `+columns,
		sqldb.Micro(now), sqldb.Micro(now.Add(task.ClaimLimit)), task.HashToken(token), int64(id))
	if err != nil {
		return task.Task{}, "", fmt.Errorf("claim task %d: %w", id, err)
	}
	return t, token, nil
}

// ByToken finds the task of a token. It may return ErrUnknownToken.
func ByToken(tx *sql.Tx, token string) (task.Task, error) {
	hash := task.HashToken(token)
	if hash == nil {
		return task.Task{}, task.ErrUnknownToken
	}
	t, err := one(tx, `SELECT `+columns+` FROM tasks WHERE token_hash = ?`, hash)
	if errors.Is(err, task.ErrNotFound) {
		return task.Task{}, task.ErrUnknownToken
	}
	if err != nil {
		return task.Task{}, fmt.Errorf("find task by token: %w", err)
	}
	return t, nil
}

// Get reads a task. It may return ErrNotFound.
func Get(tx *sql.Tx, id uint64) (task.Task, error) {
	t, err := one(tx, `SELECT `+columns+` FROM tasks WHERE task_id = ?`, int64(id))
	if err != nil {
		return task.Task{}, fmt.Errorf("read task %d: %w", id, err)
	}
	return t, nil
}

// GetAll reads tasks by their ids, in that order, with one statement. It returns ErrNotFound if
// one is missing.
func GetAll(tx *sql.Tx, ids []uint64) ([]task.Task, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	keys := make([]int64, len(ids))
	for i, id := range ids {
		keys[i] = int64(id)
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("read %d tasks: %w", len(ids), err)
	}
	found, err := list(tx, `SELECT `+columns+` FROM tasks WHERE task_id IN (SELECT value FROM json_each(?))`, string(text))
	if err != nil {
		return nil, fmt.Errorf("read %d tasks: %w", len(ids), err)
	}
	byID := make(map[uint64]task.Task, len(found))
	for _, t := range found {
		byID[t.ID] = t
	}
	tasks := make([]task.Task, len(ids))
	for i, id := range ids {
		t, ok := byID[id]
		if !ok {
			return nil, fmt.Errorf("read task %d: %w", id, task.ErrNotFound)
		}
		tasks[i] = t
	}
	return tasks, nil
}

// Activate moves a starting task to running; for a running task it is a sign of life. It may
// return ErrNotFound, ErrFinished or ErrNotClaimed.
func Activate(tx *sql.Tx, now time.Time, id uint64) (task.Task, error) {
	t, err := Get(tx, id)
	if err != nil {
		return task.Task{}, err
	}
	switch t.Status {
	case task.Finished:
		return t, fmt.Errorf("activate task %d: %w", id, task.ErrFinished)
	case task.Pending:
		return t, fmt.Errorf("activate task %d: %w", id, task.ErrNotClaimed)
	case task.Starting:
		t.Status, t.RunningAt = task.Running, sqldb.FromMicro(sqldb.Micro(now))
	}
	t.ActiveUntil = later(t.ActiveUntil, now.Add(task.HeartbeatLimit))
	_, err = tx.Exec(`UPDATE tasks SET status = 'running', running_at = ?, active_until = ? WHERE task_id = ?`,
		sqldb.Micro(t.RunningAt), sqldb.Micro(t.ActiveUntil), int64(id))
	if err != nil {
		return task.Task{}, fmt.Errorf("activate task %d: %w", id, err)
	}
	return t, nil
}

// Heartbeat is a sign of life. It returns false if the task is no longer alive. It also extends
// a claim: an app that takes long to load thereby shows that it is still loading.
func Heartbeat(tx *sql.Tx, now time.Time, id uint64) (alive bool, err error) {
	until := sqldb.Micro(now.Add(task.HeartbeatLimit))
	result, err := tx.Exec(`UPDATE tasks SET active_until = CASE WHEN active_until < ? THEN ? ELSE active_until END
		WHERE task_id = ? AND active_until > 0`, until, until, int64(id))
	if err != nil {
		return false, fmt.Errorf("heartbeat of task %d: %w", id, err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Finish ends a task and revokes its token. It may return ErrNotFound, ErrFinished, or
// ErrNotRunning if a task that is not running is to be completed. Details beyond a bound are cut.
func Finish(tx *sql.Tx, now time.Time, id uint64, sub task.SubStatus, details string) (task.Task, error) {
	t, err := Get(tx, id)
	if err != nil {
		return task.Task{}, err
	}
	switch sub {
	case task.Completed, task.Failed, task.Stopped:
	default:
		return t, fmt.Errorf("finish task %d: unknown sub-status %q", id, sub)
	}
	if t.Status == task.Finished {
		return t, fmt.Errorf("finish task %d: %w", id, task.ErrFinished)
	}
	if sub == task.Completed && t.Status != task.Running {
		return t, fmt.Errorf("finish task %d as completed while it is %s: %w", id, t.Status, task.ErrNotRunning)
	}
	t, err = one(tx, `UPDATE tasks SET status = 'finished', sub_status = ?, details = ?, finished_at = ?, active_until = 0,
		token_hash = NULL WHERE task_id = ? RETURNING `+columns, string(sub), cut(details), sqldb.Micro(now), int64(id))
	if err != nil {
		return task.Task{}, fmt.Errorf("finish task %d: %w", id, err)
	}
	return t, nil
}

// ByRun lists the tasks of a run, oldest first.
func ByRun(tx *sql.Tx, runID uint64) ([]task.Task, error) {
	tasks, err := list(tx, `SELECT `+columns+` FROM tasks WHERE run_id = ? ORDER BY pending_at, task_id`, int64(runID))
	if err != nil {
		return nil, fmt.Errorf("list tasks of run %d: %w", runID, err)
	}
	return tasks, nil
}

// Active lists all tasks that are starting or running.
func Active(tx *sql.Tx) ([]task.Task, error) {
	tasks, err := list(tx, `SELECT `+columns+` FROM tasks WHERE active_until > 0 ORDER BY pending_at, task_id`)
	if err != nil {
		return nil, fmt.Errorf("list active tasks: %w", err)
	}
	return tasks, nil
}

// cut bounds a text and makes it valid for a protobuf string.
func cut(text string) string {
	if len(text) > maxDetails {
		text = text[:maxDetails] + " [cut]"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
