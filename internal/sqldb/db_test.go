package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

func schema(files ...string) fs.FS {
	out := fstest.MapFS{}
	for i, text := range files {
		out[fmt.Sprintf("%05d_step.sql", i+1)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)}
	}
	return out
}

const kvTable = `CREATE TABLE kv (k INTEGER PRIMARY KEY, v INTEGER NOT NULL) STRICT;`

func open(t testing.TB, path string, migrations fs.FS, opts Options) *DB {
	t.Helper()
	db, err := Open(path, migrations, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func put(k, v int) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO kv VALUES (?, ?)`, k, v)
		return err
	}
}

func count(t testing.TB, db *DB) (n int) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *sql.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM kv`).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWritesAreThereAfterReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := Open(path, schema(kvTable), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), put(1, 2)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, open(t, path, schema(kvTable), Options{})); n != 1 {
		t.Fatalf("%d rows after reopen, want 1", n)
	}
}

func TestConnectionsAreDurableAndChecked(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "a b?c.db"), schema(kvTable), Options{})
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
			var got string
			if err := tx.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil {
				return err
			}
			if got != want {
				t.Errorf("%s is %s, want %s", pragma, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Read(t.Context(), put(9, 9)); err == nil {
		t.Error("a read could write")
	}
}

// Jobs that find the writer busy share one transaction: the first one waits for the others.
func TestWaitingJobsShareACommit(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), schema(kvTable), Options{})
	const jobs = 20
	errOdd := errors.New("odd")
	var order []int // what ran in the commit, in order
	var transactions sync.Map
	began, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	start := func(i int) {
		wg.Go(func() {
			err := db.WriteThen(context.Background(), func(tx *sql.Tx) error {
				if i == 0 {
					close(began)
					<-release
				}
				transactions.Store(tx, true)
				if err := put(i, i)(tx); err != nil {
					return err
				}
				if i%2 == 1 {
					return errOdd
				}
				return nil
			}, func() { order = append(order, i) })
			if want := i%2 == 1; errors.Is(err, errOdd) != want || (err != nil) != want {
				t.Errorf("job %d: %v", i, err)
			}
		})
	}
	start(0)
	<-began
	for i := 1; i < jobs; i++ {
		start(i)
	}
	for deadline := time.Now().Add(10 * time.Second); db.writer.waiting.Load() < jobs-1; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Error("jobs did not line up")
			break
		}
	}
	close(release)
	wg.Wait()
	if n := count(t, db); n != jobs/2 {
		t.Errorf("%d rows, want %d", n, jobs/2)
	}
	used := 0
	transactions.Range(func(any, any) bool { used++; return true })
	if used > 2 { // two only if the batch became too old on a busy machine
		t.Errorf("%d transactions for %d waiting jobs", used, jobs)
	}
	if len(order) != jobs/2 {
		t.Errorf("%d commit functions ran, want %d", len(order), jobs/2)
	}
}

func TestPanicUndoesOneJobOnly(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), schema(kvTable), Options{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not reach the caller")
			}
		}()
		_ = db.Write(t.Context(), func(tx *sql.Tx) error {
			_ = put(1, 1)(tx)
			panic("job")
		})
	}()
	if err := db.Write(t.Context(), put(2, 2)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestLostTransactionFailsItsJobsAndNoOthers(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), schema(kvTable), Options{})
	called := false
	err := db.WriteThen(t.Context(), func(tx *sql.Tx) error {
		if err := put(1, 1)(tx); err != nil {
			return err
		}
		_, err := tx.Exec(`ROLLBACK`) // what SQLite does by itself when the disk is full
		return err
	}, func() { called = true })
	if err == nil || called {
		t.Errorf("a lost transaction was reported as written: %v, %v", err, called)
	}
	if err := db.Write(t.Context(), put(2, 2)); err != nil {
		t.Fatal("the next write: ", err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestDiskFullIsAnErrorUntilThereIsRoom(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), schema(kvTable, `CREATE TABLE big (b BLOB);`), Options{})
	limit := func(pages int) {
		t.Helper()
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			var now int
			return tx.QueryRow(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)).Scan(&now)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(16)
	fill := func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO big VALUES (zeroblob(200000))`)
		return err
	}
	if err := db.Write(t.Context(), fill); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("full: %v", err)
	}
	limit(1 << 20)
	if err := db.Write(t.Context(), fill); err != nil {
		t.Fatal("with room again: ", err)
	}
}

func TestCancelledBeforeItsTurn(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), schema(kvTable), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Write(ctx, put(1, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Write: %v", err)
	}
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows of a cancelled write", n)
	}
}

func TestClosed(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), schema(kvTable), Options{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), put(1, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Write: %v", err)
	}
	if err := db.Read(t.Context(), put(1, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Read: %v", err)
	}
}

func TestStatementsMayNest(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), schema(kvTable), Options{})
	for k := range 5 {
		if err := db.Write(t.Context(), put(k, k)); err != nil {
			t.Fatal(err)
		}
	}
	pairs := 0
	err := db.Read(t.Context(), func(tx *sql.Tx) error {
		const query = `SELECT k FROM kv ORDER BY k`
		outer, err := tx.Query(query)
		if err != nil {
			return err
		}
		defer outer.Close()
		for outer.Next() {
			inner, err := tx.Query(query)
			if err != nil {
				return err
			}
			for inner.Next() {
				pairs++
			}
			if err := inner.Close(); err != nil {
				return err
			}
		}
		return outer.Err()
	})
	if err != nil || pairs != 25 {
		t.Fatalf("%d pairs, %v", pairs, err)
	}
}

// TestOnlyItsOwnerReadsTheFile checks a new database and one from an older version, which was
// left readable for everybody.
func TestOnlyItsOwnerReadsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	for _, old := range []bool{false, true} {
		if old {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		db, err := Open(path, schema(kvTable), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), put(map[bool]int{true: 1}[old], 2)); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(path + "*")
		if err != nil || len(files) < 2 {
			t.Fatalf("files %v, %v", files, err)
		}
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v, %v", filepath.Base(file), info.Mode(), err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
