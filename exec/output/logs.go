package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Logs is the folder of what apps printed: one file per run and type of app, such as
// 17/flwr-clientapp.log, with its older part beside it. Its methods may be called
// concurrently.
type Logs struct {
	dir string

	mu   sync.Mutex
	open map[string]*Log // by path; those in use
}

// Log is the file of one run and type of app. Several apps may write to it at once.
type Log struct {
	logs *Logs
	path string
	refs int // guarded by logs.mu

	mu     sync.Mutex
	file   *os.File
	size   int64
	failed bool // the file cannot be written: logged once, then silent
}

// OpenLogs opens the folder, creating it if needed.
func OpenLogs(dir string) (*Logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder for the output of apps: %w", err)
	}
	return &Logs{dir: dir, open: make(map[string]*Log)}, nil
}

// Open opens the log of a run's apps of one type. The caller must Close it.
func (l *Logs) Open(runID uint64, appType string) (*Log, error) {
	path := filepath.Join(l.dir, strconv.FormatUint(runID, 10), appType+".log")
	l.mu.Lock()
	defer l.mu.Unlock()
	if log := l.open[path]; log != nil {
		log.refs++
		return log, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("log of an app: %w", err)
	}
	log := &Log{logs: l, path: path, refs: 1}
	if err := log.reopen(); err != nil {
		return nil, err
	}
	l.open[path] = log
	l.prune()
	return log, nil
}

// WriteLine appends a line. A failure loses the line and is reported in our own log, once.
func (g *Log) WriteLine(line []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.size >= maxFile {
		if err := g.rotate(); err != nil {
			g.fail(err)
			return
		}
	}
	n, err := g.file.Write(append(slices.Clip(line), '\n'))
	g.size += int64(n)
	if err != nil {
		g.fail(err)
		return
	}
	g.failed = false
}

// Note appends a line of our own, marked as such.
func (g *Log) Note(format string, args ...any) {
	stamp := time.Now().UTC().Format(time.RFC3339)
	g.WriteLine(fmt.Appendf(nil, "--- %s "+format, append([]any{stamp}, args...)...))
}

// Close ends this use of the log.
func (g *Log) Close() error {
	g.logs.mu.Lock()
	defer g.logs.mu.Unlock()
	if g.refs--; g.refs > 0 {
		return nil
	}
	delete(g.logs.open, g.path)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.file.Close()
}

func (g *Log) fail(err error) {
	if !g.failed {
		log.Warn("the output of an app cannot be kept", "file", g.path, "err", err)
	}
	g.failed = true
}

func (g *Log) reopen() error {
	file, err := os.OpenFile(g.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("log of an app: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return fmt.Errorf("log of an app: %w", err)
	}
	g.file, g.size = file, info.Size()
	return nil
}

// rotate moves the full file aside. If that fails, the old file stays in use.
func (g *Log) rotate() error {
	for i := keepOld; i > 0; i-- {
		if err := os.Rename(oldName(g.path, i-1), oldName(g.path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	full := g.file
	if err := g.reopen(); err != nil {
		return err
	}
	return full.Close()
}

func oldName(path string, age int) string {
	if age == 0 {
		return path
	}
	return path + "." + strconv.Itoa(age)
}

// prune removes the logs of the oldest runs beyond the limits, but none that is in use.
// It is called with mu held.
func (l *Logs) prune() {
	runs, total, err := l.survey()
	if err != nil {
		log.Warn("could not look for old output of apps", "dir", l.dir, "err", err)
		return
	}
	for i := 0; i < len(runs) && (len(runs)-i > maxRuns || total > maxTotal); i++ {
		if l.inUse(runs[i].dir) {
			continue
		}
		if err := os.RemoveAll(runs[i].dir); err != nil {
			log.Warn("could not remove old output of apps", "err", err)
			continue
		}
		total -= runs[i].size
	}
}

type runLogs struct {
	dir   string
	size  int64
	wrote time.Time
}

// survey lists the logs of all runs, least recently written first.
func (l *Logs) survey() (runs []runLogs, total int64, err error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, 0, err
	}
	for _, entry := range entries {
		run := runLogs{dir: filepath.Join(l.dir, entry.Name())}
		files, err := os.ReadDir(run.dir)
		if err != nil {
			continue // not ours
		}
		for _, file := range files {
			if info, err := file.Info(); err == nil {
				run.size += info.Size()
				if info.ModTime().After(run.wrote) {
					run.wrote = info.ModTime()
				}
			}
		}
		runs, total = append(runs, run), total+run.size
	}
	slices.SortFunc(runs, func(a, b runLogs) int { return a.wrote.Compare(b.wrote) })
	return runs, total, nil
}

func (l *Logs) inUse(dir string) bool {
	for path := range l.open {
		if filepath.Dir(path) == dir {
			return true
		}
	}
	return false
}
