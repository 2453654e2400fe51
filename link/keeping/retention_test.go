package keeping

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// aging is a store of which only the retention is used.
type aging struct {
	state.Store
	bell  wake.Bell
	next  time.Duration
	calls []time.Duration
	start time.Time
}

func (a *aging) Bell() *wake.Bell { return &a.bell }

func (a *aging) ForgetRuns(_ context.Context, now time.Time, _ state.Retention) ([]uint64, time.Time, error) {
	a.calls = append(a.calls, now.Sub(a.start))
	return nil, now.Add(a.next), nil
}

func TestRetentionSleepsUntilSomethingCanGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &aging{start: time.Now(), next: 24 * time.Hour}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Retain(ctx, store, state.Retention{Age: time.Hour}) }()
		time.Sleep(25 * time.Hour)
		store.bell.Ring(state.KeyRunEnds())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want := []time.Duration{0, 24 * time.Hour, 25*time.Hour + retainPause}
		if !slices.Equal(store.calls, want) {
			t.Errorf("looked at %v, want %v", store.calls, want)
		}
		cancel()
		<-ended
	})
}

// A thousand small runs leave their rows and their logs and nothing else; and once they are
// forgotten, the next thousand take no more room.
func TestDiskUseOfAThousandRuns(t *testing.T) {
	const runs, logBytes = 1000, 1500
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "state.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	disk, err := objects.OpenDir(filepath.Join(dir, "objects"), objects.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	thousand := func() {
		var group errgroup.Group
		group.SetLimit(32) // enough to share transactions
		for i := range runs {
			group.Go(func() error { return smallRun(t.Context(), store, disk, i, logBytes) })
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	thousand()
	files, size := usage(t, dir)
	perRun := size / runs
	t.Logf("%d finished runs with %d bytes of log each: %d files, %d bytes, %d a run", runs, logBytes, files, size, perRun)
	if perRun > logBytes+16<<10 {
		t.Errorf("a finished run takes %d bytes", perRun)
	}
	if files > 5 {
		t.Errorf("%d files are left, more than the database has", files)
	}
	forgotten, _, err := store.ForgetRuns(t.Context(), time.Now(), state.Retention{Bytes: 1})
	if err != nil || len(forgotten) != runs {
		t.Fatalf("%d runs were forgotten, %v", len(forgotten), err)
	}
	thousand()
	if _, again := usage(t, dir); again > size+size/10 {
		t.Errorf("%d bytes after the first thousand, %d after the second", size, again)
	}
}

// smallRun goes through a run as the link does, down to the release of its objects.
func smallRun(ctx context.Context, store state.Store, disk *objects.Dir, i, logBytes int) error {
	put := func(text string) (string, error) {
		content := []byte(text)
		id := object.Sum(content)
		return id, disk.Put(ctx, id, int64(len(content)), bytes.NewReader(content))
	}
	fab, err := put("the same app")
	if err != nil {
		return err
	}
	run, err := store.CreateRun(ctx, state.NewRun{TaskType: task.TypeServerApp, FABID: "pub/app", FABVersion: "1.0.0", FABHash: fab,
		Federation: state.FederationDefault, AccountID: state.AccountNone})
	if err != nil {
		return err
	}
	id := object.Sum(fmt.Appendf(nil, "model of run %d %d", run.ID, i))
	if err := store.RegisterObjects(ctx, run.ID, []string{id}); err != nil {
		return err
	}
	if _, err := put(fmt.Sprintf("model of run %d %d", run.ID, i)); err != nil {
		return err
	}
	if err := store.AppendLogs(ctx, run.ID, time.Now(), []string{strings.Repeat("x", logBytes)}); err != nil {
		return err
	}
	if err := store.FinishRun(ctx, run.ID, task.Stopped, "stopped by the user"); err != nil {
		return err
	}
	return store.ReleaseObjects(ctx, run.ID, disk.Remove)
}

func usage(t *testing.T, dir string) (files int, size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files++
		size += info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, size
}
