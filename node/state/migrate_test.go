package state

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// upgrade opens, with the newest schema, what was written under the named migrations.
func upgrade(t *testing.T, schema []string, statements ...string) *Store {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range schema {
		text, err := migrations.ReadFile("migrations/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "node.db")
	old, err := sqldb.Open(path, files, sqldb.Options{
		Components: []sqldb.Component{{Name: "tasks", Migrations: tasktable.Migrations()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = old.Write(t.Context(), func(tx *sql.Tx) error {
		for _, statement := range statements {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	disk, err := objects.OpenDir(filepath.Join(dir, "objects"), objects.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A node that is updated in the middle of its work carries on with it: what its app pushed
// under the first schema is still there under the newest.
func TestFirstSchema(t *testing.T) {
	object := strings.Repeat("ab", 32)
	s := upgrade(t, []string{"00001_node.sql"},
		`INSERT INTO runs (run_id, series_id, fab_hash) VALUES (7, 8, '`+strings.Repeat("cd", 32)+`')`,
		`INSERT INTO messages (message_id, run_id, state, proto, tree) VALUES ('m', 7, 'working', x'', x'')`,
		`INSERT INTO replies (message_id, reply_id, proto, tree, seconds, final) VALUES ('m', 'r', x'', x'', 1, 0)`,
		`INSERT INTO message_objects (message_id, object_id, reply) VALUES ('m', '`+object+`', 1)`,
	)
	if has, err := s.HasObject(t.Context(), 7, object); !has || err != nil {
		t.Errorf("the object that was pushed before: %v, %v", has, err)
	}
	if needs, err := s.ReplyNeeds(t.Context(), "m", object); !needs || err != nil {
		t.Errorf("its reply: %v, %v", needs, err)
	}
}

// Messages keep their states, which had other names in the first two schemas.
func TestOldWords(t *testing.T) {
	words := map[string]State{"offered": Gathering, "queued": Waiting, "working": Leased, "answered": Answered, "done": Confirmed}
	statements := []string{`INSERT INTO runs (run_id, series_id, fab_hash) VALUES (7, 8, '` + strings.Repeat("cd", 32) + `')`}
	for old := range words {
		statements = append(statements, `INSERT INTO messages (message_id, run_id, state, proto, tree) VALUES ('`+old+`', 7, '`+old+`', x'', x'')`)
	}
	s := upgrade(t, []string{"00001_node.sql", "00002_held.sql"}, statements...)
	for old, want := range words {
		m, err := s.Instruction(t.Context(), old)
		if err != nil || m.State != want {
			t.Errorf("what was %q is %q now (%v), want %q", old, m.State, err, want)
		}
	}
	inv, err := s.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Accepted) != 2 || !cmp.Equal(inv.Answered, []string{"answered"}) {
		t.Errorf("inventory = %+v", inv)
	}
}

// What was accepted before there were decisions is leased to nobody until it is decided about.
func TestNothingWasDecidedBefore(t *testing.T) {
	fab := strings.Repeat("cd", 32)
	s := upgrade(t, []string{"00001_node.sql", "00002_held.sql", "00003_words.sql"},
		`INSERT INTO runs (run_id, series_id, fab_hash, proto) VALUES (7, 8, '`+fab+`', x'0807')`,
		`INSERT INTO messages (message_id, run_id, state, proto, tree) VALUES ('m', 7, 'waiting', x'', x'')`,
	)
	if leased, _, ok, err := s.Lease(t.Context(), []string{task.TypeClientApp}, 1, "p"); ok || err != nil {
		t.Fatalf("leased %+v, %v", leased, err)
	}
	pending, err := s.Unallowed(t.Context(), "p")
	if err != nil || len(pending) != 1 || pending[0].MessageID != "m" {
		t.Fatalf("to be decided about: %+v, %v", pending, err)
	}
	if _, err := s.Decide(t.Context(), Decision{RunID: 7, FABHash: fab, Policy: "p", Allowed: true}); err != nil {
		t.Fatal(err)
	}
	if leased, _, ok, err := s.Lease(t.Context(), []string{task.TypeClientApp}, 1, "p"); !ok || err != nil || leased.FABHash != fab {
		t.Errorf("leased %+v, %v, %v", leased, ok, err)
	}
}
