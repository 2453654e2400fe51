package warm

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/rhizome-fl/rhizome/internal/datadir"
)

// What was learnt about an app is a file named by its FAB hash: the JSON list of modules
// that its first process had imported by the time it ended, besides those that every app gets.
// An empty list means that the app is known and needs no server of its own, or that
// preloading for it did not work or might change what it does.

func (e *Executor) learned(fabHash string) string {
	return filepath.Join(e.Dir, "learned", filepath.Base(fabHash)+".json")
}

// seen tells whether there is nothing more to learn about the app.
func (e *Executor) seen(fabHash string) bool {
	_, err := os.Stat(e.learned(fabHash))
	return err == nil
}

// knows tells whether there is a list of modules to preload for the app.
func (e *Executor) knows(fabHash string) bool {
	if fabHash == "" {
		return false
	}
	info, err := os.Stat(e.learned(fabHash))
	return err == nil && info.Size() > int64(len("[]"))
}

// forget keeps the app from being preloaded again; it stays with the server for all apps.
func (e *Executor) forget(fabHash string) {
	if err := datadir.ReplaceFile(e.learned(fabHash), []byte("[]"), 0o600); err != nil {
		log.Warn("could not record that an app cannot be preloaded", "fab", fabHash, "err", err)
	}
}

// readLearned returns the modules of an app; a list that cannot be read is learnt again.
func (e *Executor) readLearned(fabHash string) []string {
	path := e.learned(fabHash)
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	var modules []string
	if err := json.NewDecoder(io.LimitReader(file, maxLearned)).Decode(&modules); err != nil {
		log.Warn("what was learnt about an app is unreadable; learning it again", "file", path, "err", err)
		_ = os.Remove(path)
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // just used, so pruned last
	e.prune()
	return modules
}

// prune removes what was learnt about the apps that were run least recently.
func (e *Executor) prune() {
	entries, err := os.ReadDir(filepath.Join(e.Dir, "learned"))
	if err != nil || len(entries) <= maxLearnedFiles {
		return
	}
	changed := func(i int) int64 { return changeTime(filepath.Join(e.Dir, "learned", entries[i].Name())) }
	sort.Slice(entries, func(i, j int) bool { return changed(i) < changed(j) })
	for _, entry := range entries[:len(entries)-maxLearnedFiles] {
		_ = os.Remove(filepath.Join(e.Dir, "learned", entry.Name()))
	}
}
