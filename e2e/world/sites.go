package world

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// NamedNodes starts n SuperNodes one after the other and maps their names to their ids,
// because flwr does not show the two together.
func (w *World) NamedNodes(f *Flwr, n int) map[string]string {
	w.t.Helper()
	ticket := w.Ticket("--uses", fmt.Sprint(n))
	ids := make(map[string]string)
	seen := make(map[string]bool)
	for i := range n {
		d := w.Node(ticket, i, n)
		for _, id := range f.NodeIDs() {
			if !seen[id] {
				seen[id], ids[d.Name] = true, id
			}
		}
	}
	if len(ids) != n || len(seen) != n {
		w.t.Fatalf("%d nodes are online under the names %v", len(seen), ids)
	}
	return ids
}

// RanAt says whether a site ever started an app process for a run: the SuperExec keeps a
// folder of output for each run it has worked on.
func (w *World) RanAt(site, runID string) bool {
	w.t.Helper()
	found := false
	err := filepath.WalkDir(w.Path(site), func(path string, entry fs.DirEntry, err error) error {
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
