// Package install lets one app process at a time install a FAB.
//
// Flower's app processes install the FAB of their run into
// FLWR_HOME/apps/PUBLISHER.NAME.VERSION.HASH8 before they load it. They consider the folder
// complete as soon as it exists, and they take no lock: of two that start together, the
// second may import half an app. A [Gate] holds back all but the first until that one
// has finished installing; afterwards nobody waits.
//
// Guarantees: of all processes started through gates on the same FLWR_HOME, even by several
// SuperExecs, at most one is between its start and the end of the first installation of a FAB.
// A folder that a killed process left half-written is removed before the next start, provided
// that the FLWR_HOME is ours alone.
//
// The end of the installation is recognised by what the process prints, by its successful exit,
// or by the passing of more time than any installation takes. The package is not responsible for
// installing.
package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// hashLength is how much of the hash Flower puts into the name of the folder.
const hashLength = 8

// Gate guards the apps folder of one FLWR_HOME. Its methods may be called concurrently.
type Gate struct {
	apps    string
	private bool

	mu    sync.Mutex
	known map[string]bool          // installed, or in use by an app that was taken back
	turns map[string]chan struct{} // by hash: holds a value while nobody has the turn
}

// New makes the gate of a FLWR_HOME. private says that nobody else installs there.
func New(home string, private bool) *Gate {
	return &Gate{
		apps: filepath.Join(home, "apps"), private: private,
		known: make(map[string]bool), turns: make(map[string]chan struct{}),
	}
}

var validHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Enter returns once an app with this FAB may start. The caller must Close the turn when
// the app has ended. Without a valid hash there is nothing to wait for.
func (g *Gate) Enter(ctx context.Context, fabHash string) (*Turn, error) {
	if !validHash.MatchString(fabHash) || g.isInstalled(fabHash) {
		return &Turn{}, nil
	}
	mine := g.turnOf(fabHash)
	select {
	case <-mine:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the installation of FAB %s: %w", fabHash, ctx.Err())
	}
	turn := &Turn{gate: g, hash: fabHash, mine: mine}
	if g.isInstalled(fabHash) {
		turn.release()
		return turn, nil
	}
	if err := turn.prepare(ctx); err != nil {
		turn.release()
		return nil, err
	}
	turn.mu.Lock()
	defer turn.mu.Unlock()
	if turn.mine != nil {
		turn.timer = time.AfterFunc(limit, turn.release)
	}
	return turn, nil
}

// InUse says that an app with this FAB, started by an earlier SuperExec, is already running. Its
// folder is left alone.
func (g *Gate) InUse(fabHash string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known[fabHash] = true
}

func (g *Gate) turnOf(hash string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.turns[hash] == nil {
		g.turns[hash] = make(chan struct{}, 1)
		g.turns[hash] <- struct{}{}
	}
	return g.turns[hash]
}

// isInstalled asks memory first, since it is called at every start of an app.
func (g *Gate) isInstalled(hash string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known[hash] {
		return true
	}
	if _, err := os.Stat(g.mark(hash)); err != nil || len(g.folders(hash)) == 0 {
		return false
	}
	g.known[hash] = true
	return true
}

// mark returns the path of the file that says that a FAB was installed completely.
func (g *Gate) mark(hash string) string { return filepath.Join(g.apps, ".rhizome", hash) }

// folders lists where a FAB is installed; the hash adds no special characters to the pattern.
func (g *Gate) folders(hash string) []string {
	entries, err := os.ReadDir(g.apps)
	if err != nil {
		return nil
	}
	var found []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), "."+hash[:hashLength]) {
			found = append(found, filepath.Join(g.apps, entry.Name()))
		}
	}
	return found
}

// Turn is the right to run one app. The zero value is a turn that holds nobody up.
type Turn struct {
	gate *Gate
	hash string

	mu    sync.Mutex
	mine  chan struct{} // nil when released
	lock  *os.File      // against other SuperExecs on the same FLWR_HOME
	timer *time.Timer
}

// prepare takes the lock between SuperExecs and clears what a killed process left.
func (t *Turn) prepare(ctx context.Context) error {
	g := t.gate
	if err := os.MkdirAll(filepath.Dir(g.mark(t.hash)), 0o755); err != nil {
		return fmt.Errorf("prepare the installation of FAB %s: %w", t.hash, err)
	}
	lock, err := lockFile(ctx, g.mark(t.hash)+".lock")
	if err != nil {
		return fmt.Errorf("wait for another SuperExec that is installing FAB %s: %w", t.hash, err)
	}
	t.lock = lock
	if g.isInstalled(t.hash) { // by the one that had the lock
		t.release()
		return nil
	}
	folders := g.folders(t.hash)
	if len(folders) > 0 && !g.private {
		// This FLWR_HOME is the user's own: whoever put the app there is done, since nobody holds the lock.
		t.Installed()
		return nil
	}
	for _, folder := range folders {
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("remove an incomplete installation: %w", err)
		}
	}
	return nil
}

// Output looks for the line in which Flower says that it has installed the app.
func (t *Turn) Output(line []byte) {
	if t.gate != nil && strings.Contains(string(line), "Successfully installed") && strings.Contains(string(line), "."+t.hash[:hashLength]) {
		t.Installed()
	}
}

// Installed says that the app has been installed, so the others may start.
func (t *Turn) Installed() {
	t.mu.Lock()
	held := t.mine != nil
	t.mu.Unlock()
	if !held {
		return
	}
	// If the mark cannot be written, the next SuperExec installs again: slower, but not wrong.
	if len(t.gate.folders(t.hash)) > 0 && os.WriteFile(t.gate.mark(t.hash), nil, 0o644) == nil {
		t.gate.InUse(t.hash)
	}
	t.release()
}

// Close ends the turn. loaded says that the app ended well, so it must have been installed.
func (t *Turn) Close(loaded bool) {
	if loaded {
		t.Installed()
	}
	t.release()
}

func (t *Turn) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mine == nil {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	if t.lock != nil {
		_ = t.lock.Close() // which unlocks
	}
	t.mine <- struct{}{}
	t.mine = nil
}

// lockFile waits for an exclusive lock. The kernel cannot be told to stop waiting, so if ctx
// ends, the wait goes on in the background until the present holder, which has a limit of its
// own, lets go.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() {
		for {
			err := unix.Flock(int(file.Fd()), unix.LOCK_EX)
			if !errors.Is(err, unix.EINTR) {
				locked <- err
				return
			}
		}
	}()
	select {
	case err := <-locked:
		if err != nil {
			file.Close()
			return nil, err
		}
		return file, nil
	case <-ctx.Done():
		go func() { _ = <-locked; file.Close() }()
		return nil, ctx.Err()
	}
}
