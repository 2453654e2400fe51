package sqlite

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzOpen changes a stored state somewhere: either it is refused, and left as it is, or it opens and
// can be used.
func FuzzOpen(f *testing.F) {
	whole := map[bool][]byte{true: unzipAll(f, "state-v1.db.gz"), false: unzipAll(f, "state-v2.db.gz")}
	for _, old := range []bool{true, false} {
		for _, at := range []uint32{0, 18, 100, 4096, 20_000} {
			f.Add(old, at, []byte{0xff, 0x00, 0x7f}, uint32(len(whole[old])))
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, old bool, at uint32, patch []byte, length uint32) {
		content := bytes.Clone(whole[old])
		content = content[:min(len(content), int(length))]
		if len(content) > 0 {
			copy(content[int(at)%len(content):], patch)
		}
		own, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(own)
		path := filepath.Join(own, "state.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Options{Now: atGoldenClock})
		if err != nil {
			return
		}
		defer s.Close()
		// Errors are not a finding, since quick_check does not look at every value; panics are.
		_, _ = s.ListRuns(t.Context(), 0, 0)
		_, _ = s.ListMembers(t.Context())
		_, _ = s.ListNodes(t.Context())
		_, _ = s.GatheringMessages(t.Context())
		_, _ = s.Expire(t.Context(), goldenClock.Add(time.Second))
	})
}

func unzipAll(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	reader, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}
