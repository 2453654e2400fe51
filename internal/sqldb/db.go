package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"modernc.org/sqlite"

	"github.com/rhizome-fl/rhizome/internal/datadir"
)

// DB is an open database. Its methods may be called concurrently.
type DB struct {
	path    string
	writer  *writer
	readers *sql.DB
}

// Options of [Open]. The zero value suits most callers.
type Options struct {
	// Components are parts of the schema that belong to packages of their own. Each has
	// versions of its own; they are migrated before the main schema, in this order.
	Components []Component
	// Readers is how many reads run at once; 0 means the default of limits.go.
	Readers int
}

// Component is a part of a schema.
type Component struct {
	// Name names the table that records the version: schema_<Name>.
	Name string
	// Migrations holds the goose files (NNNNN_name.sql) at its root.
	Migrations fs.FS
}

// Open opens or creates the database and brings its schema up to date. migrations holds the
// goose files (NNNNN_name.sql) at its root. It may return ErrCorrupt or ErrNewer.
func Open(path string, migrations fs.FS, opts Options) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db := &DB{path: path}
	created, err := makePrivate(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	components := append(append([]Component{}, opts.Components...), Component{Name: mainComponent, Migrations: migrations})
	if err := db.prepare(components, !created); err != nil {
		return nil, fmt.Errorf("open database: %w", db.explain(err))
	}
	if created { // SQLite syncs the file but not, in every mode, the directory that names it
		if err := datadir.SyncDir(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
	}
	if err := db.connect(opts); err != nil {
		return nil, fmt.Errorf("open database: %w", db.explain(err))
	}
	return db, nil
}

// makePrivate makes sure that only the owner can read the file, which SQLite would create with
// whatever mode the umask leaves. The files beside it (-wal, -shm) get the mode of the database.
func makePrivate(path string) (created bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return true, file.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, nil // SQLite will notice, and says it better
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(name, info.Mode().Perm()&0o700); err != nil {
			return false, fmt.Errorf("other users of this machine can read it: %w", err)
		}
	}
	return false, nil
}

// Write runs job in a transaction and returns once that is on disk. The job runs once, or
// not at all if ctx ends before its turn; once it runs, it is not interrupted. If the job
// returns an error, what it did is undone, and the error is returned unchanged.
//
// The job must use the methods of tx without a context (a cancelled statement would roll
// back the work of others), close its rows, and call neither Commit nor Rollback. It holds
// up all other writers, so it should be short and do no other I/O.
func (db *DB) Write(ctx context.Context, job func(tx *sql.Tx) error) error {
	return db.WriteThen(ctx, job, nil)
}

// WriteThen is Write with a function that is called if and when the job is committed, before
// any later job runs, so what it changes in memory changes in the order of the commits.
// It must be quick and must not call the database.
func (db *DB) WriteThen(ctx context.Context, job func(tx *sql.Tx) error, committed func()) error {
	return db.explain(db.writer.do(ctx, job, committed))
}

// Read runs job on a snapshot of what has been committed. It is cut short when ctx ends.
func (db *DB) Read(ctx context.Context, job func(tx *sql.Tx) error) error {
	tx, err := db.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		if ctx.Err() == nil && db.writer.isClosed() {
			return ErrClosed
		}
		return db.explain(fmt.Errorf("begin to read: %w", err))
	}
	defer func() { _ = tx.Rollback() }()
	return db.explain(job(tx))
}

// Close waits for writes that have begun and closes the file. Later calls of Read and
// Write fail with ErrClosed.
func (db *DB) Close() error {
	err := db.writer.close(db.readers.Close)
	if err != nil {
		return fmt.Errorf("close database %s: %w", db.path, err)
	}
	return nil
}

// Path returns the path of the file.
func (db *DB) Path() string { return db.path }

func (db *DB) connect(opts Options) error {
	writeConnector, err := sqlite.NewConnector(db.dsn(writerCacheKiB, nil))
	if err != nil {
		return err
	}
	readConnector, err := sqlite.NewConnector(db.dsn(readerCacheKiB, url.Values{"_query_only": {"1"}}))
	if err != nil {
		return err
	}
	write := sql.OpenDB(cachingConnector{writeConnector})
	write.SetMaxOpenConns(1)
	readers := opts.Readers
	if readers == 0 {
		readers = defaultReaders
	}
	db.readers = sql.OpenDB(cachingConnector{readConnector})
	db.readers.SetMaxOpenConns(readers)
	db.readers.SetMaxIdleConns(readers)
	if err := errors.Join(write.Ping(), db.readers.Ping()); err != nil {
		_ = db.readers.Close()
		_ = write.Close()
		return err
	}
	db.writer = newWriter(write)
	return nil
}

// dsn names the file and says how each of its connections behaves.
func (db *DB) dsn(cacheKiB int, more url.Values) string {
	query := url.Values{
		"_busy_timeout": {strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"1"},
		"_txlock":       {"immediate"},
		"_dqs":          {"0"}, // a misspelt column is an error, not a string
		"_defensive":    {"1"},
		"_error_rc":     {"1"},
		"_pragma": {
			"cache_size(-" + strconv.Itoa(cacheKiB) + ")",
			"journal_size_limit(" + strconv.Itoa(journalLimit) + ")",
			"temp_store(MEMORY)",
		},
	}
	maps.Copy(query, more)
	return (&url.URL{Scheme: "file", Path: db.path, RawQuery: query.Encode()}).String()
}
