package tasktable

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

// in runs f in a transaction.
func in(t interface {
	Helper()
	Fatal(...any)
}, db *sqldb.DB, f func(*sql.Tx) error) {
	t.Helper()
	// The test's own context has ended when rapid cleans up.
	if err := db.Write(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

func openTable(t testing.TB) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(filepath.Join(t.TempDir(), "t.db"), Migrations(), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestLifeOfATask(t *testing.T) {
	db := openTable(t)
	var id uint64
	var token string
	in(t, db, func(tx *sql.Tx) error {
		created, err := Create(tx, start, New{RunID: 1 << 63, Type: task.TypeServerApp, FABHash: "f", MessageID: "m"})
		if err != nil {
			return err
		}
		id = created.ID
		if got, err := Get(tx, id); err != nil || got != created {
			t.Errorf("Get: %+v, %v, want %+v", got, err, created)
		}
		if _, _, ok, err := Claim(tx, start, []string{task.TypeClientApp}); ok || err != nil {
			t.Errorf("claimed a task of another type: %v", err)
		}
		claimed, tok, ok, err := Claim(tx, start, []string{task.TypeClientApp, task.TypeServerApp})
		if err != nil || !ok || claimed.ID != id || claimed.Status != task.Starting || !claimed.ActiveUntil.Equal(start.Add(task.ClaimLimit)) {
			t.Fatalf("Claim: %+v, %v, %v", claimed, ok, err)
		}
		token = tok
		if _, _, ok, _ := Claim(tx, start, []string{task.TypeServerApp}); ok {
			t.Error("claimed twice")
		}
		if got, err := ByToken(tx, token); err != nil || got.ID != id {
			t.Errorf("ByToken: %v", err)
		}
		return nil
	})
	if len(token) != 256 || strings.Trim(token, "0123456789abcdef") != "" {
		t.Errorf("token %q", token)
	}
	in(t, db, func(tx *sql.Tx) error {
		if _, err := Finish(tx, start, id, task.Completed, ""); !errors.Is(err, task.ErrNotRunning) {
			t.Errorf("completed while starting: %v", err)
		}
		for range 2 {
			if got, err := Activate(tx, start.Add(time.Second), id); err != nil || got.Status != task.Running || !got.RunningAt.Equal(start.Add(time.Second)) {
				t.Errorf("Activate: %+v, %v", got, err)
			}
		}
		if alive, err := Heartbeat(tx, start.Add(30*time.Second), id); !alive || err != nil {
			t.Errorf("Heartbeat: %v, %v", alive, err)
		}
		if next, err := NextDeadline(tx); err != nil || !next.Equal(start.Add(30*time.Second+task.HeartbeatLimit)) {
			t.Errorf("NextDeadline: %v, %v", next, err)
		}
		got, err := Finish(tx, start.Add(time.Minute), id, task.Completed, "fine\xff"+strings.Repeat("x", maxDetails))
		if err != nil || got.Status != task.Finished || got.SubStatus != task.Completed || !got.ActiveUntil.IsZero() || len(got.Details) > maxDetails+20 {
			t.Errorf("Finish: %+v, %v", got, err)
		}
		for name, err := range map[string]error{
			"Finish":   second(Finish(tx, start, id, task.Failed, "")),
			"Activate": second(Activate(tx, start, id)),
		} {
			if !errors.Is(err, task.ErrFinished) {
				t.Errorf("%s of a finished task: %v", name, err)
			}
		}
		if _, err := ByToken(tx, token); !errors.Is(err, task.ErrUnknownToken) {
			t.Errorf("the token outlived its task: %v", err)
		}
		if alive, err := Heartbeat(tx, start, id); alive || err != nil {
			t.Errorf("Heartbeat of a finished task: %v, %v", alive, err)
		}
		return nil
	})
}

func TestTokenIsNotStored(t *testing.T) {
	db := openTable(t)
	in(t, db, func(tx *sql.Tx) error {
		created, err := Create(tx, start, New{Type: task.TypeClientApp})
		if err != nil {
			return err
		}
		_, token, err := ClaimID(tx, start, created.ID)
		if err != nil {
			return err
		}
		var stored []byte
		if err := tx.QueryRow(`SELECT token_hash FROM tasks`).Scan(&stored); err != nil {
			return err
		}
		if len(stored) != 32 || strings.Contains(token, string(stored)) {
			t.Errorf("stored %d bytes of the token", len(stored))
		}
		return nil
	})
}

func TestForeignTokens(t *testing.T) {
	db := openTable(t)
	in(t, db, func(tx *sql.Tx) error {
		if _, err := Create(tx, start, New{Type: task.TypeClientApp}); err != nil {
			return err
		}
		for _, token := range []string{"", "x", strings.Repeat("0", 256), strings.Repeat("a", 1<<20)} {
			if _, err := ByToken(tx, token); !errors.Is(err, task.ErrUnknownToken) {
				t.Errorf("token of %d bytes: %v", len(token), err)
			}
		}
		return nil
	})
}

func TestUnknownTask(t *testing.T) {
	db := openTable(t)
	in(t, db, func(tx *sql.Tx) error {
		for name, err := range map[string]error{
			"Get":      second(Get(tx, 7)),
			"Activate": second(Activate(tx, start, 7)),
			"Finish":   second(Finish(tx, start, 7, task.Failed, "")),
			"Requeue":  second(Requeue(tx, 7)),
		} {
			if !errors.Is(err, task.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := ClaimID(tx, start, 7); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("ClaimID: %v", err)
		}
		return nil
	})
}

func second[T any](_ T, err error) error { return err }

func TestGetAllKeepsTheOrderOfItsIDs(t *testing.T) {
	db := openTable(t)
	in(t, db, func(tx *sql.Tx) error {
		var want []task.Task
		var ids []uint64
		for range 50 {
			created, err := Create(tx, start, New{RunID: task.NewID(), Type: task.TypeServerApp})
			if err != nil {
				return err
			}
			want, ids = append(want, created), append(ids, created.ID)
		}
		if got, err := GetAll(tx, ids); err != nil || !slices.Equal(got, want) {
			t.Errorf("GetAll: %v, %v, want %v", got, err, want)
		}
		if got, err := GetAll(tx, nil); err != nil || len(got) != 0 {
			t.Errorf("GetAll of none: %v, %v", got, err)
		}
		if _, err := GetAll(tx, append(ids, 7)); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("GetAll with an unknown id: %v", err)
		}
		return nil
	})
}
