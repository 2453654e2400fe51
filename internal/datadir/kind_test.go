package datadir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestKindOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if _, err := KindOf(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	dir, err := Open(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if kind, err := KindOf(path); err != nil || kind != "node" { // while it is held
		t.Errorf("%q, %v", kind, err)
	}
	if err := os.WriteFile(filepath.Join(path, markerName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if kind, err := KindOf(path); err == nil {
		t.Errorf("damaged: %q", kind)
	}
}
