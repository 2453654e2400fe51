package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// live is a link as far as a backup sees it.
type live struct {
	t       *testing.T
	dir     string
	store   *sqlite.Store
	objects *objects.Dir
	run     state.Run
	fab     string
	weights string
}

func newLive(t *testing.T) *live {
	t.Helper()
	l := &live{t: t, dir: t.TempDir()}
	var err error
	l.store, err = sqlite.Open(t.Context(), filepath.Join(l.dir, "state.db"), sqlite.Options{})
	l.must(err)
	t.Cleanup(func() { _ = l.store.Close() })
	l.objects, err = objects.OpenDir(filepath.Join(l.dir, "objects"), objects.DirOptions{})
	l.must(err)
	l.must(os.WriteFile(filepath.Join(l.dir, "identity"), []byte("the key"), 0o600))
	l.fab, l.weights = l.put("an app"), l.put("weights")
	l.run = l.newRun(l.weights)
	ended := l.newRun(l.put("of a run that has ended"))
	l.must(l.store.AppendLogs(t.Context(), ended.ID, time.Now(), []string{"kept\n"}))
	l.must(l.store.FinishRun(t.Context(), ended.ID, task.Stopped, ""))
	return l
}

func (l *live) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *live) put(text string) string {
	l.t.Helper()
	id := object.Sum([]byte(text))
	l.must(l.objects.Put(l.t.Context(), id, int64(len(text)), strings.NewReader(text)))
	return id
}

func (l *live) newRun(holds string) state.Run {
	l.t.Helper()
	run, err := l.store.CreateRun(l.t.Context(), state.NewRun{TaskType: task.TypeServerApp, FABID: "pub/app", FABVersion: "1", FABHash: l.fab,
		Federation: state.FederationDefault, AccountID: state.AccountNone})
	l.must(err)
	l.must(l.store.RegisterObjects(l.t.Context(), run.ID, []string{holds}))
	l.must(l.store.HoldObjects(l.t.Context(), run.ID, []string{holds}))
	return run
}

func (l *live) source() Source {
	return Source{PeerID: "12D3", Software: "test", DataDir: l.dir, Snapshot: l.store.Snapshot, Export: l.objects.Export}
}

func (l *live) backup() []byte {
	l.t.Helper()
	prepared, err := Prepare(l.t.Context(), l.source())
	l.must(err)
	// What happens from now on is not in the backup.
	l.must(l.store.FinishRun(l.t.Context(), l.run.ID, task.Stopped, ""))
	l.must(l.store.ReleaseObjects(l.t.Context(), l.run.ID, l.objects.Remove))
	var file bytes.Buffer
	_, err = prepared.WriteTo(&file)
	l.must(err)
	l.must(prepared.Close())
	if left, _ := filepath.Glob(filepath.Join(l.dir, TempPattern)); len(left) > 0 {
		l.t.Errorf("left over: %v", left)
	}
	return file.Bytes()
}

func TestBackupOfALiveLinkComesBackWhole(t *testing.T) {
	l := newLive(t)
	file := l.backup()
	target := filepath.Join(t.TempDir(), "deep", "hub")
	report, err := Restore(t.Context(), bytes.NewReader(file), target)
	l.must(err)
	if report.Objects != 2 || len(report.Damaged) > 0 || report.Manifest.PeerID != "12D3" {
		t.Errorf("report: %+v", report)
	}
	dir, err := datadir.Open(target, "link")
	l.must(err)
	defer dir.Close()
	if key, err := os.ReadFile(dir.Path("identity")); string(key) != "the key" || err != nil {
		t.Errorf("identity: %q, %v", key, err)
	}
	store, err := sqlite.Open(t.Context(), dir.Path("state.db"), sqlite.Options{})
	l.must(err)
	defer store.Close()
	unfinished, err := store.UnfinishedRuns(t.Context())
	if err != nil || len(unfinished) != 1 || unfinished[0].ID != l.run.ID {
		t.Errorf("unfinished runs: %v, %v", unfinished, err)
	}
	if runs, err := store.ListRuns(t.Context(), 0, 0); len(runs) != 2 || err != nil {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	disk, err := objects.OpenDir(dir.Path("objects"), objects.DirOptions{})
	l.must(err)
	for _, id := range []string{l.fab, l.weights} {
		if err := disk.Verify(id); err != nil {
			t.Error(err)
		}
	}
	info, err := os.Stat(target)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
}

func TestRestoreOnlyIntoNothing(t *testing.T) {
	file := newLive(t).backup()
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "something"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(file), used); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(used, "something")); err != nil {
		t.Error("what was there before is gone: ", err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(file), t.TempDir()); err != nil {
		t.Error("restoring into an empty directory: ", err)
	}
}

// A backup that was cut short, or changed anywhere, never becomes a data directory.
func TestDamagedBackupIsRefused(t *testing.T) {
	file := newLive(t).backup()
	parent := t.TempDir()
	refused := func(what string, content []byte) {
		t.Helper()
		_, err := Restore(t.Context(), bytes.NewReader(content), filepath.Join(parent, "hub"))
		if err == nil {
			t.Errorf("%s: restored", what)
		}
		if left, _ := os.ReadDir(parent); len(left) > 0 {
			t.Fatalf("%s: %v is left", what, left)
		}
	}
	for _, length := range []int{0, 1, 511, 512, 1024, len(file) / 2, len(file) - 4096} {
		refused("cut short", file[:length])
	}
	// Every byte of content counts; padding between entries does not.
	archive := tar.NewReader(bytes.NewReader(file))
	reader := func(header *tar.Header) int { return bytes.Index(file, []byte(header.Name)) }
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		at := reader(header) + bytes.Index(file[reader(header):], content[:min(len(content), 32)])
		changed := bytes.Clone(file)
		changed[at+len(content)/2] ^= 1
		refused("one bit of "+header.Name, changed)
	}
	refused("no tar", []byte(strings.Repeat("rhizome ", 1000)))
	refused("entries that lead out", archiveOf(t, "../evil", "evil"))
	refused("a hole of a terabyte", sparseArchive(t))
	refused("entries that are none of ours", archiveOf(t, "rhizome.json", "{}"))
}

// sparseArchive is a file that is a single hole, as GNU tar writes it.
func sparseArchive(t *testing.T) []byte {
	t.Helper()
	var file bytes.Buffer
	out := &archive{tar: tar.NewWriter(&file), at: time.Unix(1, 0), sums: make(map[string]string)}
	if err := out.add(manifestName, []byte(`{"kind":"link","format":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := out.tar.Flush(); err != nil {
		t.Fatal(err)
	}
	block := func(name string, kind byte, content string) {
		header := make([]byte, 512)
		copy(header, name)
		copy(header[100:], "0000600\x000000000\x000000000\x00")
		copy(header[124:], fmt.Sprintf("%011o\x00%011o\x00        ", len(content), 1))
		header[156] = kind
		copy(header[257:], "ustar\x0000")
		sum := 0
		for _, b := range header {
			sum += int(b)
		}
		copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
		file.Write(header)
		file.WriteString(content)
		file.Write(make([]byte, (512-len(content)%512)%512))
	}
	var records string
	for _, pair := range [][2]string{
		{"GNU.sparse.major", "0"}, {"GNU.sparse.minor", "1"}, {"GNU.sparse.name", "state.db"}, {"GNU.sparse.size", "1099511627776"},
		{"GNU.sparse.numblocks", "1"}, {"GNU.sparse.map", "1099511627776,0"},
	} {
		body := " " + pair[0] + "=" + pair[1] + "\n"
		size := len(body) + 2
		if size > 99 {
			size++
		}
		records += fmt.Sprint(size) + body
	}
	block("pax", 'x', records)
	block("state.db", '0', "")
	file.Write(make([]byte, 1024))
	if _, err := tar.NewReader(bytes.NewReader(file.Bytes())).Next(); err != nil {
		t.Fatal(err)
	}
	check := tar.NewReader(bytes.NewReader(file.Bytes()))
	_, _ = check.Next()
	if header, err := check.Next(); err != nil || header.Size != 1<<40 {
		t.Fatalf("the archive is not what it should be: %+v, %v", header, err)
	}
	return file.Bytes()
}

func archiveOf(t testing.TB, name, content string) []byte {
	t.Helper()
	var file bytes.Buffer
	out := &archive{tar: tar.NewWriter(&file), at: time.Unix(1, 0), sums: make(map[string]string)}
	for _, err := range []error{
		out.add(manifestName, []byte(`{"kind":"link","format":1}`)), out.add(name, []byte(content)),
		out.add(checksumsName, []byte("{}")), out.tar.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

func TestBackupOfANewerRhizomeIsRefusedWithAdvice(t *testing.T) {
	var file bytes.Buffer
	out := &archive{tar: tar.NewWriter(&file), sums: make(map[string]string)}
	if err := errors.Join(out.add(manifestName, []byte(`{"kind":"link","format":2}`)), out.tar.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), &file, filepath.Join(t.TempDir(), "hub")); err == nil || !strings.Contains(err.Error(), "use the newer rhizome") {
		t.Error(err)
	}
}

// A run that ends while it is being copied takes its objects away, and the backup begins again. A
// run that has lost an object is backed up without it.
func TestObjectsThatVanishDuringABackup(t *testing.T) {
	l := newLive(t)
	source := l.source()
	tries := 0
	source.Snapshot = func(ctx context.Context, path string) ([]string, error) {
		ids, err := l.store.Snapshot(ctx, path)
		if tries++; tries == 1 {
			l.must(l.objects.Remove(l.weights)) // as if its run had just ended
		} else {
			l.put("weights")
		}
		return ids, err
	}
	prepared, err := Prepare(t.Context(), source)
	l.must(err)
	l.must(prepared.Close())
	if tries != 2 {
		t.Errorf("it took %d tries, want 2", tries)
	}
	l.must(l.objects.Remove(l.weights))
	prepared, err = Prepare(t.Context(), l.source())
	l.must(err)
	defer prepared.Close()
	if len(prepared.ids) != 1 {
		t.Errorf("%d objects, want only the app", len(prepared.ids))
	}
}

// A bit that flipped on the link's disk does not keep the rest from being restored.
func TestBackupOfADamagedObject(t *testing.T) {
	l := newLive(t)
	path := filepath.Join(l.dir, "objects", l.weights[:1], l.weights)
	l.must(os.WriteFile(path, []byte("wEights"), 0o600))
	report, err := Restore(t.Context(), bytes.NewReader(l.backup()), filepath.Join(t.TempDir(), "hub"))
	if err != nil || report.Objects != 1 || len(report.Damaged) != 1 || report.Damaged[0] != l.weights {
		t.Errorf("%+v, %v", report, err)
	}
}
