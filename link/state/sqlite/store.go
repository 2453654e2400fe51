package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/state"
)

var log = logs.For("link/state/sqlite")

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a state.Store in one SQLite file.
type Store struct {
	db    *sqldb.DB
	bell  wake.Bell
	now   func() time.Time
	board *board
	// next is the deadline that Expire named last, or an earlier one that has come since. It is
	// used only in functions that run in the order of the commits.
	next time.Time
}

var _ state.Store = (*Store)(nil)

// Options of [Open].
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Open opens or creates the store. Tasks and nodes that were alive when it was last used get
// state.RestartGrace to show that they still are. Apart from errors of the file system, it fails with
// sqldb.ErrCorrupt and sqldb.ErrNewer.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	db, err := sqldb.Open(path, files, sqldb.Options{
		Components: []sqldb.Component{{Name: "tasks", Migrations: tasktable.Migrations()}},
	})
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	s := &Store{db: db, now: opts.Now, board: newBoard()}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.begin(ctx); err != nil {
		_ = db.Close() // the first error is the one that matters
		return nil, fmt.Errorf("open state: %w", err)
	}
	return s, nil
}

// begin gives all tasks and nodes time to come back, and fills the board.
func (s *Store) begin(ctx context.Context) error {
	return s.write(ctx, func(c *change) error {
		until := c.now.Add(state.RestartGrace)
		if err := tasktable.Extend(c.tx, until); err != nil {
			return err
		}
		if _, err := c.tx.Exec(`UPDATE nodes SET online_until = ? WHERE status = 'online' AND online_until < ?`,
			sqldb.Micro(until), sqldb.Micro(until)); err != nil {
			return fmt.Errorf("extend nodes: %w", err)
		}
		return s.board.load(c.tx)
	})
}

// Bell rings after commits.
func (s *Store) Bell() *wake.Bell { return &s.bell }

// Close waits for writes that have begun. Every later call fails.
func (s *Store) Close() error { return s.db.Close() }

// change is one write in progress.
type change struct {
	tx  *sql.Tx
	now time.Time

	keys     []wake.Key
	effects  []func(*board)
	deadline time.Time
}

// ring notes whom to wake after the commit.
func (c *change) ring(keys ...wake.Key) { c.keys = append(c.keys, keys...) }

// then notes what changes on the board after the commit.
func (c *change) then(effect func(*board)) { c.effects = append(c.effects, effect) }

// due notes a deadline that the change has brought; zero means none.
func (c *change) due(at time.Time) {
	if !at.IsZero() && (c.deadline.IsZero() || at.Before(c.deadline)) {
		c.deadline = at
	}
}

// write runs job in the group commit and, after the commit, what job has noted.
func (s *Store) write(ctx context.Context, job func(*change) error) error {
	return s.writeThen(ctx, job, func(c *change) {
		if !c.deadline.IsZero() && (s.next.IsZero() || c.deadline.Before(s.next)) {
			s.next = c.deadline
			c.ring(state.KeyDeadline())
		}
	})
}

func (s *Store) writeThen(ctx context.Context, job func(*change) error, committed func(*change)) error {
	var c *change
	return s.db.WriteThen(ctx, func(tx *sql.Tx) error {
		c = &change{tx: tx, now: s.now()}
		return job(c)
	}, func() {
		s.board.apply(c.effects)
		committed(c)
		s.bell.Ring(c.keys...)
	})
}

func (s *Store) read(ctx context.Context, job func(*sql.Tx) error) error {
	return s.db.Read(ctx, job)
}
