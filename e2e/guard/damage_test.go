package guard

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/e2e/world"
	linkadmin "github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/link/membership"
)

// refusedLink starts a link that must not start, and returns the line it prints.
func refusedLink(t *testing.T, w *world.World) string {
	t.Helper()
	stdout, stderr, code := w.Try("link", "--data", w.Path("link"), "--http", w.FreeAddress(), "--isolation", "process", "--listen", "none")
	if code != 1 || strings.Count(stderr, "\n") != 1 {
		t.Fatalf("the link starts, or does not say why not in one line: %d\n%s%s", code, stdout, stderr)
	}
	return stderr
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A damaged database is refused with instructions and left as it is; a backup gets the link
// going again.
func TestDamagedDatabase(t *testing.T) {
	w := world.New(t)
	hub, address := w.Link("--isolation", "process")
	app := w.Probe("ok")
	run := w.Flwr(address).Submit(app.Dir, "-c", app.Config())
	w.Command("backup", "--data", w.Path("link"), w.Path("hub.backup"))
	hub.Stop() // the database is now a single file
	database := w.Path("link", "state.db")
	good := read(t, database)

	garbled := bytes.Clone(good)
	for i := len(garbled) / 3; i < len(garbled)/3+20_000; i++ {
		garbled[i] = byte(rand.IntN(256))
	}
	header := bytes.Clone(good)
	copy(header, "not a database at all")
	for what, content := range map[string][]byte{
		"garbled in the middle": garbled, "without its header": header, "half of it": good[:len(good)/2], "half a page more": good[:len(good)-2048],
	} {
		write(t, database, content)
		line := refusedLink(t, w)
		if !strings.Contains(line, "is damaged") || !strings.Contains(line, "restore a backup") {
			t.Errorf("%s: %s", what, line)
		}
		if !bytes.Equal(read(t, database), content) {
			t.Errorf("%s: the file was changed", what)
		}
	}

	// Do as the line says: move the database away, and restore the backup.
	stdout, stderr, code := w.Try("restore", w.Path("hub.backup"), "--data", w.Path("link"))
	if code != 1 || !strings.Contains(stderr, "not empty") {
		t.Errorf("restored over a directory that is in use: %d\n%s%s", code, stdout, stderr)
	}
	if err := os.Rename(w.Path("link"), w.Path("broken")); err != nil {
		t.Fatal(err)
	}
	w.Command("restore", w.Path("hub.backup"), "--data", w.Path("link"))
	_, address = w.Link("--isolation", "process")
	if got := w.Flwr(address).Status(run); got != "pending" {
		t.Errorf("the run is %s after the restore", got)
	}
}

// A log torn at any point by a power cut costs at most what was not acknowledged.
func TestTornWriteAheadLog(t *testing.T) {
	w := world.New(t)
	hub, address := w.Link("--isolation", "process")
	app := w.Probe("ok")
	run := w.Flwr(address).Submit(app.Dir, "-c", app.Config())
	w.Ticket()
	hub.Kill()
	log := w.Path("link", "state.db-wal")
	whole := read(t, log)
	if len(whole) == 0 {
		t.Fatal("there is no write-ahead log to be torn")
	}
	// This imitates an unfinished write: part of a page, and noise where nothing had been
	// written yet.
	torn := append(bytes.Clone(whole), whole[len(whole)-4120:len(whole)-1000]...)
	write(t, log, append(torn, []byte(strings.Repeat("noise", 300))...))
	hub.Again(world.Ready)
	if got := w.Flwr(address).Status(run); got != "pending" {
		t.Errorf("the run is %s", got)
	}
}

// A database with the first schema is migrated.
func TestOldDatabase(t *testing.T) {
	w := world.New(t)
	old, err := filepath.Glob(filepath.Join("..", "..", "link", "state", "sqlite", "testdata", "state-v*.db.gz"))
	if err != nil || len(old) < 2 {
		t.Fatalf("old files: %v, %v", old, err)
	}
	for _, file := range old {
		packed, err := gzip.NewReader(bytes.NewReader(read(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(packed)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(w.Path("link"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, w.Path("link", "state.db"), content)
		hub, _ := w.Link("--isolation", "process")
		var members []membership.Member
		w.JSON(&members, "member", "ls", "--data", w.Path("link"), "--json")
		if len(members) != 1 || members[0].Name != "member" {
			t.Errorf("%s: members %+v", filepath.Base(file), members)
		}
		w.Ticket()
		hub.Stop()
		if err := os.RemoveAll(w.Path("link")); err != nil {
			t.Fatal(err)
		}
	}
}

// A flipped bit in a stored app is found when the app is read: the app is not run, its run
// ends with the reason, and other runs are not affected.
func TestFlippedBitInAnObject(t *testing.T) {
	w := world.New(t)
	hub, address := w.Link("--isolation", "process")
	f := w.Flwr(address)
	bad, good := w.Probe("ok"), w.Probe("other")
	badRun := f.Submit(bad.Dir, "-c", bad.Config("min-nodes=0"))
	hub.Kill()
	found, err := filepath.Glob(w.Path("link", "objects", "?", "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("objects: %v, %v", found, err)
	}
	content := read(t, found[0])
	content[len(content)/2] ^= 0x10
	write(t, found[0], content)
	hub.Again(world.Ready)
	goodRun := f.Submit(good.Dir, "-c", good.Config("min-nodes=0"))
	w.SuperExec(address)
	w.Eventually("both runs end", world.RunLimit, func() bool {
		return strings.HasPrefix(f.Status(badRun), "finished") && strings.HasPrefix(f.Status(goodRun), "finished")
	})
	if got := f.Status(badRun); got != "finished:failed" {
		t.Errorf("the run whose app is damaged is %s", got)
	}
	if got := f.Status(goodRun); got != "finished:completed" {
		t.Errorf("the other run is %s", got)
	}
	if started := bad.Read("server"); len(started) > 0 {
		t.Error("the damaged app was run")
	}
	var status linkadmin.Status
	w.JSON(&status, "status", "--data", w.Path("link"), "--json")
	for _, run := range status.Runs {
		if run.ID == number(t, badRun) && !strings.Contains(run.Details, "damaged") {
			t.Errorf("the reason is %q", run.Details)
		}
	}
	if kept, err := filepath.Glob(w.Path("link", "objects", "corrupt", "*")); err != nil || len(kept) != 1 {
		t.Errorf("the damaged file is not kept for a look: %v, %v", kept, err)
	}
}
