package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
)

// Snapshot writes a consistent copy of the database, as it is now and without gaps, to a file
// that must not exist. Reads and writes continue meanwhile. The copy is not synced to disk.
func (db *DB) Snapshot(ctx context.Context, path string) error {
	conn, err := sql.Open("sqlite", db.dsn(readerCacheKiB, nil))
	if err == nil {
		conn.SetMaxOpenConns(1)
		_, err = conn.ExecContext(ctx, `VACUUM INTO ?`, path)
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		return fmt.Errorf("copy database %s: %w", db.path, db.explain(err))
	}
	return nil
}

// ReadFile runs job on a database file that nobody has open, such as a snapshot, without
// changing it.
func ReadFile(ctx context.Context, path string, job func(tx *sql.Tx) error) error {
	db := &DB{path: path}
	name := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"mode": {"ro"}, "_query_only": {"1"}}.Encode()}
	conn, err := sql.Open("sqlite", name.String())
	if err != nil {
		return fmt.Errorf("read database %s: %w", path, err)
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("read database %s: %w", path, db.explain(err))
	}
	defer func() { _ = tx.Rollback() }()
	return db.explain(job(tx))
}
