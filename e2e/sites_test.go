package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// namedNodes starts n SuperNodes one after the other and maps their names to their ids, which
// flwr does not show together.
func (w *world) namedNodes(f *flwr, n int) map[string]string {
	w.t.Helper()
	ticket := w.ticket("--uses", fmt.Sprint(n))
	ids := make(map[string]string)
	seen := make(map[string]bool)
	for i := range n {
		d := w.node(ticket, i, n)
		for _, id := range f.nodeIDs() {
			if !seen[id] {
				seen[id], ids[d.name] = true, id
			}
		}
	}
	if len(ids) != n || len(seen) != n {
		w.t.Fatalf("%d nodes are online under the names %v", len(seen), ids)
	}
	return ids
}

// ranAt says whether a site ever started an app process for a run: the SuperExec keeps a
// folder of output for each run it has worked for.
func (w *world) ranAt(site, runID string) bool {
	w.t.Helper()
	found := false
	err := filepath.WalkDir(w.path(site), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() && entry.Name() == runID && filepath.Base(filepath.Dir(path)) == "logs" {
			found = true
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}
