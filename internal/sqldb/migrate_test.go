package sqldb

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMigratesAndRefusesNewer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	old, new := schema(kvTable), schema(kvTable, `ALTER TABLE kv ADD COLUMN w INTEGER;`)
	part := func(files ...string) Options {
		return Options{Components: []Component{{Name: "part", Migrations: schema(files...)}}}
	}
	const partTable = `CREATE TABLE part (id INTEGER PRIMARY KEY);`

	open(t, path, old, Options{}).Close()
	open(t, path, old, part(partTable)).Close() // a component that comes later
	open(t, path, new, part(partTable, `CREATE INDEX part_id ON part (id);`)).Close()
	before := read(t, path)
	for name, try := range map[string]func() (*DB, error){
		"main":      func() (*DB, error) { return Open(path, old, part(partTable, `CREATE INDEX part_id ON part (id);`)) },
		"component": func() (*DB, error) { return Open(path, new, part(partTable)) },
	} {
		if _, err := try(); !errors.Is(err, ErrNewer) {
			t.Errorf("%s newer: %v", name, err)
		}
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("a refused file was changed")
	}
}

func TestMigrationThatFailsLeavesTheOldSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, schema(kvTable), Options{})
	if err := db.Write(t.Context(), put(1, 1)); err != nil {
		t.Fatal(err)
	}
	db.Close()
	_, err := Open(path, schema(kvTable, "DELETE FROM kv;\nINSERT INTO nowhere VALUES (1);"), Options{})
	if err == nil {
		t.Fatal("a broken migration passed")
	}
	if n := count(t, open(t, path, schema(kvTable), Options{})); n != 1 {
		t.Errorf("%d rows after a failed migration, want 1", n)
	}
}

func TestRefusesDamage(t *testing.T) {
	pristine := filepath.Join(t.TempDir(), "x.db")
	migrations := schema(kvTable, `CREATE INDEX kv_v ON kv (v);`)
	db := open(t, pristine, migrations, Options{})
	for base := range 20 {
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			for i := range 200 {
				if err := put(base*200+i, i*7919)(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	good := read(t, pristine)
	for name, harm := range map[string]func([]byte) []byte{
		"not a database": func([]byte) []byte { return []byte(strings.Repeat("this is no database ", 500)) },
		"cut":            func(b []byte) []byte { return b[:len(b)/2] },
		"torn page":      func(b []byte) []byte { clear(b[len(b)/2/4096*4096:][:4096]); return b },
		"header":         func(b []byte) []byte { b[5] ^= 0xff; return b },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			bad := harm(bytes.Clone(good))
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path, migrations, Options{})
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
				t.Errorf("error: %v", err)
			}
			if !bytes.Equal(bad, read(t, path)) {
				t.Error("the damaged file was changed")
			}
		})
	}
}

func TestReadOnlyPlace(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "missing", "x.db"), schema(kvTable), Options{})
	if err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("error: %v", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
