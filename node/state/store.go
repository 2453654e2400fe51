package state

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// Errors that callers branch on. Any other error means that the store could not do it now
// (disk full, closing) and that nothing has changed.
var (
	// ErrNotFound: there is no such message or run, or it was dropped.
	ErrNotFound = errors.New("not found")
	// ErrAnswered: the message is already answered, or a different reply was inserted.
	ErrAnswered = errors.New("message is answered")
	// ErrOtherRun: the run is known here, but as a different one from what is claimed now.
	ErrOtherRun = errors.New("this run is known as another one")
	// ErrTooMany: a bound of limits.go has been reached; it is worth trying again later.
	ErrTooMany = errors.New("too many")
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is the state of one SuperNode. Methods may be called concurrently.
type Store struct {
	db      *sqldb.DB
	objects objects.Store
	bell    wake.Bell
	// refs is held for reading from the moment an object is referred to until it has been
	// looked for on disk, and for writing while unreferenced objects are removed, so that
	// no caller is told that an object is there which is about to go.
	refs sync.RWMutex

	mu sync.Mutex
	// inherited holds the tasks from before the last start whose apps have shown no sign of life since.
	inherited map[uint64]struct{}
	// stopping is set when the node itself takes its processes down.
	stopping bool
}

// Open opens the database at path, creating or migrating it, and resumes what was under way
// when the last process ended; see [Store.Expire].
func Open(ctx context.Context, path string, objs objects.Store) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open node state: %w", err)
	}
	db, err := sqldb.Open(path, files, sqldb.Options{
		Components: []sqldb.Component{{Name: "tasks", Migrations: tasktable.Migrations()}},
	})
	if err != nil {
		return nil, fmt.Errorf("open node state: %w", err)
	}
	s := &Store{db: db, objects: objs}
	if err := errors.Join(s.resume(ctx), s.Collect(ctx)); err != nil {
		return nil, errors.Join(fmt.Errorf("resume node state: %w", err), db.Close())
	}
	return s, nil
}

// Close ends the store; pending writes are finished first.
func (s *Store) Close() error { return s.db.Close() }

// Bell returns the bell that rings after a commit; the Key functions say what is rung when.
func (s *Store) Bell() *wake.Bell { return &s.bell }

// KeyWaiting is rung when a message has become Waiting, an app has been decided on or a slot has become free.
func KeyWaiting() wake.Key { return wake.Key{Kind: "waiting"} }

// KeyTask is rung when somebody other than its app has ended the task.
func KeyTask(taskID uint64) wake.Key { return wake.Key{Kind: "task", ID: taskID} }

// KeyReplies is rung when a message has been answered.
func KeyReplies() wake.Key { return wake.Key{Kind: "replies"} }

// KeyGarbage is rung when [Store.Collect] may have work.
func KeyGarbage() wake.Key { return wake.Key{Kind: "garbage"} }

// KeyDeadline is rung when the next deadline may have changed.
func KeyDeadline() wake.Key { return wake.Key{Kind: "deadline"} }

// signed converts a 64-bit id to the form in which it is stored: the integer of the same bits.
func signed(id uint64) int64 { return int64(id) }

// tick advances the counter that orders events.
func tick(tx *sql.Tx) (turn int64, err error) {
	err = tx.QueryRow(`UPDATE clock SET turn = turn + 1 RETURNING turn`).Scan(&turn)
	return turn, err
}

// column reads one column of all rows.
func column[T any](tx *sql.Tx, query string, args ...any) ([]T, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var values []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, rows.Err()
}
