package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
)

// cachingConnector makes connections that keep their statements prepared, so code can call
// tx.Exec(query) and pay for parsing and planning only once.
type cachingConnector struct{ driver.Connector }

// sqliteConn is what the driver's connections can do; all of it is passed on, see
// sqlite.NewConnector.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteStmt is what the driver's statements can do.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// Connect implements driver.Connector.
func (c cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := conn.(sqliteConn)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver has changed: its connections lack an interface"), conn.Close())
	}
	return &cachingConn{sqliteConn: inner, idle: make(map[string]sqliteStmt)}, nil
}

// cachingConn is used by one goroutine at a time, as database/sql promises.
type cachingConn struct {
	sqliteConn
	// idle holds prepared statements that are not executing. One that is executing is not
	// here, so the same query, if nested, gets another statement.
	idle map[string]sqliteStmt
}

// Unwrap returns the driver's connection.
func (c *cachingConn) Unwrap() driver.Conn { return c.sqliteConn }

// ExecContext implements driver.ExecerContext.
func (c *cachingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	stmt, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := stmt.ExecContext(ctx, args)
	if putErr := c.put(query, stmt); err == nil && putErr != nil {
		return nil, putErr
	}
	return result, err
}

// QueryContext implements driver.QueryerContext.
func (c *cachingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	stmt, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, c.put(query, stmt))
	}
	return &cachingRows{Rows: rows, conn: c, query: query, stmt: stmt}, nil
}

// Close implements driver.Conn.
func (c *cachingConn) Close() error {
	var errs []error
	for query, stmt := range c.idle {
		delete(c.idle, query)
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

func (c *cachingConn) take(ctx context.Context, query string) (sqliteStmt, error) {
	if stmt, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return stmt, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	stmt, ok := prepared.(sqliteStmt)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver has changed: its statements lack an interface"), prepared.Close())
	}
	return stmt, nil
}

func (c *cachingConn) put(query string, stmt sqliteStmt) error {
	if _, taken := c.idle[query]; taken || len(c.idle) >= maxStatements {
		return stmt.Close()
	}
	c.idle[query] = stmt
	return nil
}

// cachingRows give their statement back when they are closed.
type cachingRows struct {
	driver.Rows
	conn  *cachingConn
	query string
	stmt  sqliteStmt
}

// Close implements driver.Rows; database/sql may call it more than once.
func (r *cachingRows) Close() error {
	err := r.Rows.Close()
	if r.stmt == nil {
		return err
	}
	stmt := r.stmt
	r.stmt = nil
	return errors.Join(err, r.conn.put(r.query, stmt))
}

// Next implements driver.Rows.
func (r *cachingRows) Next(dest []driver.Value) error {
	if r.stmt == nil {
		return io.EOF
	}
	return r.Rows.Next(dest)
}
