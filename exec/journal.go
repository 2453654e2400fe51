package exec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// record is what a successor needs to know about one app process. It is written before the
// process starts, when it runs and when it has ended, and is removed once the host knows.
type record struct {
	TaskID  uint64 `json:"task_id"`
	RunID   uint64 `json:"run_id"`
	Type    string `json:"type"`
	FABHash string `json:"fab_hash,omitempty"`
	// Handle of the process; empty until it runs.
	Handle json.RawMessage `json:"handle,omitempty"`
	// Exit is set once the process has ended and while the host may not know of it yet.
	Exit *task.Exit `json:"exit,omitempty"`
}

// journal keeps the records in a folder, with the token and the output pipe of each app
// beside them. It survives the end of the process but is not fsynced: the apps that it
// describes do not survive the end of the machine either.
type journal struct{ dir string }

const (
	recordSuffix = ".json"
	tokenSuffix  = ".token"
	pipeSuffix   = ".out"
	// pidSuffix marks what a fork server leaves beside a token.
	pidSuffix = tokenSuffix + ".pid"
)

func openJournal(dir string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of running apps: %w", err)
	}
	return &journal{dir: dir}, nil
}

// launchName names a launch. A task may be launched again with another token while its first
// process is still alive, so the token is part of the name.
func launchName(taskID uint64, token string) string {
	digest := sha256.Sum256([]byte(token))
	return strconv.FormatUint(taskID, 10) + "-" + hex.EncodeToString(digest[:4])
}

func (j *journal) tokenFile(name string) string { return filepath.Join(j.dir, name+tokenSuffix) }
func (j *journal) pipeFile(name string) string  { return filepath.Join(j.dir, name+pipeSuffix) }

// begin writes the token and the record of a launch that is about to start.
func (j *journal) begin(name, token string, rec record) error {
	if err := os.WriteFile(j.tokenFile(name), []byte(token+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the token of task %d: %w", rec.TaskID, err)
	}
	return j.put(name, rec)
}

// put replaces the record of a launch, either completely or not at all.
func (j *journal) put(name string, rec record) error {
	content, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if err := datadir.ReplaceFile(filepath.Join(j.dir, name+recordSuffix), content, 0o600); err != nil {
		return fmt.Errorf("write down the app of task %d: %w", rec.TaskID, err)
	}
	return nil
}

// forget removes everything that belongs to a launch, the record last.
func (j *journal) forget(name string) error {
	var errs []error
	for _, suffix := range []string{pipeSuffix, pidSuffix, tokenSuffix, recordSuffix} {
		if err := os.Remove(filepath.Join(j.dir, name+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// earlier is one entry of the journal, as a successor finds it.
type earlier struct {
	name  string
	token string
	record
}

// load reads all entries and removes what belongs to none of them. An entry that cannot be read
// is removed as well: without its record or token, nothing can be done for its app.
func (j *journal) load() ([]earlier, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("folder of running apps: %w", err)
	}
	var found []earlier
	known := make(map[string]bool)
	for _, entry := range entries {
		name, isRecord := strings.CutSuffix(entry.Name(), recordSuffix)
		if !isRecord {
			continue
		}
		l, err := j.read(name)
		if err != nil {
			log.Warn("an app of an earlier SuperExec is lost", "err", err)
			continue
		}
		known[name] = true
		found = append(found, l)
	}
	for _, entry := range entries {
		name, _, _ := strings.Cut(entry.Name(), ".")
		if !known[name] {
			_ = os.Remove(filepath.Join(j.dir, entry.Name())) // tried again next time
		}
	}
	return found, nil
}

func (j *journal) read(name string) (earlier, error) {
	l := earlier{name: name}
	content, err := os.ReadFile(filepath.Join(j.dir, name+recordSuffix))
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(content, &l.record); err != nil {
		return l, fmt.Errorf("record %s: %w", name, err)
	}
	token, err := os.ReadFile(j.tokenFile(name))
	if err != nil {
		return l, err
	}
	l.token = strings.TrimSpace(string(token))
	return l, nil
}
