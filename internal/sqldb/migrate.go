package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// mainComponent is the schema with which [Open] is called.
const mainComponent = "main"

// prepare checks the file and brings all components up to date, on a connection of its
// own, since the statements of migrations are of no use later.
func (db *DB) prepare(components []Component, exists bool) error {
	conn, err := sql.Open("sqlite", db.dsn(writerCacheKiB, nil))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	conn.SetMaxOpenConns(1)
	ctx := context.Background()
	if exists {
		if err := db.check(ctx, conn); err != nil {
			return err
		}
	}
	providers := make([]*goose.Provider, len(components))
	for i, c := range components {
		if providers[i], err = db.provider(conn, c); err != nil {
			return err
		}
	}
	// All are examined before any is changed: a file that is refused stays as it is.
	for i, c := range components {
		if err := db.refuseNewer(ctx, conn, c, providers[i]); err != nil {
			return err
		}
	}
	for i, c := range components {
		if _, err := providers[i].Up(ctx); err != nil {
			return fmt.Errorf("bring schema %q of %s up to date: %w", c.Name, db.path, err)
		}
	}
	return nil
}

// check finds damage before a run depends on the file. It reads the whole file, which
// takes about 5 ms per MiB: little compared with a week of training on a damaged one.
func (db *DB) check(ctx context.Context, conn *sql.DB) error {
	var verdict string
	if err := conn.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return corrupt(db.path, errors.New(verdict))
	}
	return nil
}

func (db *DB) provider(conn *sql.DB, c Component) (*goose.Provider, error) {
	p, err := goose.NewProvider(database.DialectSQLite3, conn, c.Migrations,
		goose.WithTableName(versionTable(c)), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("read migrations of schema %q: %w", c.Name, err)
	}
	return p, nil
}

func (db *DB) refuseNewer(ctx context.Context, conn *sql.DB, c Component, p *goose.Provider) error {
	var tables int
	if err := conn.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?`, versionTable(c)).Scan(&tables); err != nil {
		return err
	}
	if tables == 0 {
		return nil // new, or from before the component existed
	}
	has, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read version of schema %q of %s: %w", c.Name, db.path, err)
	}
	sources := p.ListSources()
	knows := sources[len(sources)-1].Version
	if has > knows {
		return fmt.Errorf("%s has version %d of schema %q and this rhizome knows %d; it was left as it is: use the newer rhizome, or another data directory (%w)",
			db.path, has, c.Name, knows, ErrNewer)
	}
	return nil
}

func versionTable(c Component) string { return "schema_" + c.Name }
