package launch

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestOwnSecretStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	first, err := OwnSecret(path)
	if err != nil || len(first) < secretBytes {
		t.Fatalf("secret of %d bytes, %v", len(first), err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if again, err := OwnSecret(path); err != nil || !bytes.Equal(again, first) {
		t.Errorf("another secret at the second start (%v)", err)
	}
	other, err := OwnSecret(filepath.Join(t.TempDir(), "secret"))
	if err != nil || bytes.Equal(other, first) {
		t.Errorf("two hosts share a secret (%v)", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OwnSecret(path); err == nil {
		t.Error("an empty file was accepted as a secret")
	}
}
