package chaos

import (
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// belongs matches the files that a data folder may hold when no run is unfinished, by their
// path within it. Any other file was left behind.
var belongs = regexp.MustCompile(`^(` + strings.Join([]string{
	`state\.db(-wal|-shm)?`, `identity`, `port`, `superexec\.secret`, `admin\.sock`, `rhizome\.json`, `lock`, `join\.ticket`,
	`superexec/(superexec\.json|superexec\.log(\.1)?|rhizome\.json|lock)`,
	`superexec/warm/(forkserver\.py|preload-[0-9a-z]+\.json|learned/[0-9a-f]{64}\.json)`,
	// Installed apps and the output of apps are kept for later; both have limits of their own.
	`superexec/flwr-home/.*`, `superexec/logs/.*`,
}, "|") + `)$`)

// checkFiles expects only the files that belong there in the data folders, and none in the
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
				return nil // it has just been removed
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

// checkNothingIsLeft looks for processes and files that belong to a run that is over.
func (f *federation) checkNothingIsLeft() {
	f.t.Helper()
	f.Eventually("all nodes are connected and all SuperExecs run", recovery, func() bool {
		status, ok := f.status()
		for _, node := range status.Nodes {
			ok = ok && node.Session != nil
		}
		for _, host := range f.hosts() {
			ok = ok && f.superExec(host) != 0
		}
		return ok
	})
	f.checkProcesses()
	f.checkFiles(recovery)
}

// checkProcesses expects one SuperExec for each host, and no app.
func (f *federation) checkProcesses() {
	f.t.Helper()
	f.Eventually("no app process is left", recovery, func() bool {
		return len(f.Processes("--token-file")) == 0 && len(f.appsOfAll()) == 0
	})
	wanted := make(map[int]bool)
	for _, host := range f.hosts() {
		wanted[f.superExec(host)] = true
	}
	for _, p := range f.Processes(" exec ", "--runtime-api-address") {
		if !wanted[p.PID] {
			f.t.Errorf("a SuperExec too many: %d %s", p.PID, p.Args)
		}
		delete(wanted, p.PID)
	}
	if len(wanted) > 0 {
		f.t.Errorf("no SuperExec: %v", slices.Collect(maps.Keys(wanted)))
	}
}

func (f *federation) appsOfAll() (pids []int) {
	for _, host := range f.hosts() {
		pids = append(pids, f.apps(host)...)
	}
	return pids
}
