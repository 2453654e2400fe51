package state

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// A node that is updated in the middle of its work goes on with it: what its app had pushed
// under the first schema is there under the newest.
func TestFirstSchema(t *testing.T) {
	const first = "00001_node.sql"
	schema, err := migrations.ReadFile("migrations/" + first)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "node.db")
	old, err := sqldb.Open(path, fstest.MapFS{first: {Data: schema}}, sqldb.Options{
		Components: []sqldb.Component{{Name: "tasks", Migrations: tasktable.Migrations()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	object := strings.Repeat("ab", 32)
	err = old.Write(t.Context(), func(tx *sql.Tx) error {
		for _, statement := range []string{
			`INSERT INTO runs (run_id, series_id, fab_hash) VALUES (7, 8, '` + strings.Repeat("cd", 32) + `')`,
			`INSERT INTO messages (message_id, run_id, state, proto, tree) VALUES ('m', 7, 'working', x'', x'')`,
			`INSERT INTO replies (message_id, reply_id, proto, tree, seconds, final) VALUES ('m', 'r', x'', x'', 1, 0)`,
			`INSERT INTO message_objects (message_id, object_id, reply) VALUES ('m', '` + object + `', 1)`,
		} {
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
	defer s.Close()
	if has, err := s.HasObject(t.Context(), 7, object); !has || err != nil {
		t.Errorf("the object that was pushed before: %v, %v", has, err)
	}
	if needs, err := s.ReplyNeeds(t.Context(), "m", object); !needs || err != nil {
		t.Errorf("its reply: %v, %v", needs, err)
	}
}
