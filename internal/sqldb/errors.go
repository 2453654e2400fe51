package sqldb

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Errors that callers branch on; the text around them tells the user what to do.
var (
	// ErrCorrupt: the file is damaged or not a database.
	ErrCorrupt = errors.New("database is damaged")
	// ErrNewer: the schema belongs to a newer version.
	ErrNewer = errors.New("database belongs to a newer version")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("database is closed")
)

// explain adds what a user needs to know to errors that only a user can fix.
func (db *DB) explain(err error) error {
	if err == nil || errors.Is(err, ErrCorrupt) {
		return err
	}
	var sqliteErr *sqlite.Error
	if !errors.As(err, &sqliteErr) {
		return err
	}
	switch sqliteErr.Code() & 0xff { // the primary code, below the extended ones
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return corrupt(db.path, err)
	case lib.SQLITE_FULL:
		return fmt.Errorf("no space left for %s: %w", db.path, err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
		return fmt.Errorf("%s cannot be written: %w", db.path, err)
	default:
		return err
	}
}

func corrupt(path string, cause error) error {
	return fmt.Errorf("%s is damaged; it was left as it is: stop rhizome, then restore a backup of the file, or move it (and its -wal file) away to begin with an empty one (%w: %w)",
		path, ErrCorrupt, cause)
}
