package backup

import (
	"archive/tar"
	"bytes"
	"os"
	"testing"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// FuzzUnpack feeds arbitrary bytes to the reader of archives: what it accepts is whole, and it
// writes nothing but the files that a backup has.
func FuzzUnpack(f *testing.F) {
	f.Add(archiveOf(f, "identity", "key"))
	f.Add(archiveOf(f, "objects/"+string(bytes.Repeat([]byte("a"), 64)), "content"))
	f.Add(archiveOf(f, databaseName, "SQLite format 3\x00"))
	f.Add([]byte{})
	dir, err := datadir.Open(f.TempDir(), "link")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = dir.Close() })
	store, err := objects.OpenDir(dir.Path(objectsFolder), objects.DirOptions{})
	if err != nil {
		f.Fatal(err)
	}
	known := map[string]bool{"lock": true, "rhizome.json": true, objectsFolder: true, databaseName: true, "identity": true, "port": true}
	f.Fuzz(func(t *testing.T, file []byte) {
		in := &unpacking{ctx: t.Context(), dir: dir, objects: store, sums: make(map[string]string)}
		if err := in.all(tar.NewReader(bytes.NewReader(file))); err == nil && in.sums[databaseName] == "" {
			t.Error("an archive without a database was accepted")
		}
		entries, err := os.ReadDir(dir.Path())
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if !known[entry.Name()] {
				t.Errorf("it wrote %q", entry.Name())
			}
		}
		for _, name := range append([]string{databaseName}, plainFiles...) {
			_ = os.Remove(dir.Path(name))
		}
	})
}
