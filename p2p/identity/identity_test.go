package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestIdentityStaysTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	ids := make([]peer.ID, 8)
	var all sync.WaitGroup
	for i := range ids { // processes that start at the same moment
		all.Go(func() {
			id, err := LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = id.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Fatalf("identities %v", ids)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
}

func TestDamagedIdentityIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	if err := os.WriteFile(path, []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreate(path); err == nil {
		t.Error("no error")
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "half a k" {
		t.Errorf("the file is now %q, %v", raw, err)
	}
	if _, err := LoadOrCreate(filepath.Join(path, "x", "y")); err == nil {
		t.Error("a path below a file was accepted")
	}
}

func TestPortStaysTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "port")
	first, err := LoadOrPickPort(path)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := LoadOrPickPort(path); err != nil || second != first || first < 1024 {
		t.Errorf("%d, then %d, %v", first, second, err)
	}
	for _, content := range []string{"", "no", "0", "70000", "-1"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if port, err := LoadOrPickPort(path); err == nil {
			t.Errorf("%q is port %d", content, port)
		}
	}
}
