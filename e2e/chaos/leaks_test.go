package chaos

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// belongs are the files that a data folder may have when no run is unfinished, by their path
// below it. What is not here was left behind.
var belongs = regexp.MustCompile(`^(` + strings.Join([]string{
	`state\.db(-wal|-shm)?`, `identity`, `port`, `admin\.sock`, `rhizome\.json`, `lock`, `join\.ticket`,
	`superexec/(superexec\.json|superexec\.log(\.1)?|rhizome\.json|lock)`,
	`superexec/warm/(forkserver\.py|preload-[0-9a-z]+\.json|learned/[0-9a-f]{64}\.json)`,
	// Installed apps and output of apps are kept for later; both have limits of their own.
	`superexec/flwr-home/.*`, `superexec/logs/.*`,
}, "|") + `)$`)

// checkFiles wants nothing in the data folders but what belongs there, and nothing in the
// temporary folder. Cleaning up may take a moment.
func (f *federation) checkFiles(limit time.Duration) {
	f.t.Helper()
	var left []string
	defer func() {
		if f.t.Failed() {
			f.t.Logf("files that are left: %q", left)
		}
	}()
	f.Eventually("no file is left", limit, func() bool {
		left = f.leftFiles()
		return len(left) == 0
	})
}

func (f *federation) leftFiles() []string {
	f.t.Helper()
	var left []string
	folders := []string{temporary}
	for _, d := range f.daemons() {
		folders = append(folders, d.Name)
	}
	for _, folder := range folders {
		root := f.Path(folder)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return nil // removed this moment
			}
			name, err := filepath.Rel(root, path)
			if err == nil && !belongs.MatchString(filepath.ToSlash(name)) {
				left = append(left, filepath.Join(folder, name))
			}
			return err
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	slices.Sort(left)
	return left
}
