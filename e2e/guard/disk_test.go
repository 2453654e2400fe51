package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// smallDisk is a separate file system of a given size.
type smallDisk struct {
	t   *testing.T
	dir string
}

// newSmallDisk mounts one. Make it before the world that uses it, because it must be removed
// after that world.
func newSmallDisk(t *testing.T, size string) *smallDisk {
	t.Helper()
	if noMounts != nil {
		t.Skip("nothing can be mounted here: ", noMounts)
	}
	d := &smallDisk{t: t, dir: t.TempDir()}
	if err := unix.Mount("guard", d.dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Skip("no tmpfs can be mounted here: ", err)
	}
	t.Cleanup(func() {
		// A process that was just reaped may still be giving back its files.
		deadline := time.Now().Add(10 * time.Second)
		err := unix.Unmount(d.dir, 0)
		for errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline) {
			<-time.After(20 * time.Millisecond)
			err = unix.Unmount(d.dir, 0)
		}
		if err != nil {
			t.Error("something still uses the disk: ", err)
		}
	})
	return d
}

// fill leaves no byte free; the function it returns makes room again.
func (d *smallDisk) fill() (free func()) {
	d.t.Helper()
	path := filepath.Join(d.dir, "ballast")
	file, err := os.Create(path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 1<<16); len(block) > 0; {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
	return func() {
		d.t.Helper()
		if err := os.Remove(path); err != nil {
			d.t.Fatal(err)
		}
	}
}

// linkOn makes the world's link keep its data on the disk.
func (d *smallDisk) linkOn(w *world.World, args ...string) (*world.Daemon, string) {
	d.t.Helper()
	data := filepath.Join(d.dir, "link")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Symlink(data, w.Path("link"))); err != nil {
		d.t.Fatal(err)
	}
	return w.Link(args...)
}

// While the disk is full, whatever would have to be stored is refused, with 503 or with one
// line that says why; reading still works. Once there is room again, everything is as before,
// without a restart.
func TestFullDiskRefusesAndRecovers(t *testing.T) {
	disk := newSmallDisk(t, "48m")
	w := world.New(t)
	link, address := disk.linkOn(w, "--isolation", "process")
	f := w.Flwr(address)
	app := w.Probe("ok")
	pending := f.Submit(app.Dir, "-c", app.Config())

	free := disk.fill()
	api := newAPI(t, "http://"+address)
	if status, body := api.call(flwr.PathStopRun, &flwrpb.StopRunRequest{RunId: number(t, pending)}, nil); status != 503 {
		t.Errorf("stop-run on a full disk: %d %s", status, body)
	}
	if stdout, stderr, code := f.Try("run", app.Dir, "test", "-c", app.Config()); code == 0 {
		t.Errorf("flwr run on a full disk works:\n%s%s", stdout, stderr)
	}
	stdout, stderr, code := w.Try("ticket", "create", "--data", w.Path("link"))
	if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "no space left") {
		t.Errorf("rhizome ticket create on a full disk: %d\n%s%s", code, stdout, stderr)
	}
	stdout, stderr, code = w.Try("backup", "--data", w.Path("link"), w.Path("full.backup"))
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "no space left") {
		t.Errorf("rhizome backup on a full disk: %d\n%s%s", code, stdout, stderr)
	}
	if got := f.Status(pending); got != "pending" {
		t.Errorf("the run is %s", got)
	}
	free()

	if status, body := api.call(flwr.PathStopRun, &flwrpb.StopRunRequest{RunId: number(t, pending)}, nil); status != 200 {
		t.Errorf("stop-run with room again: %d %s", status, body)
	}
	if got := f.Status(pending); got != "finished:stopped" {
		t.Errorf("the run is %s", got)
	}
	w.Ticket()
	if left, _ := filepath.Glob(filepath.Join(disk.dir, "link", "backup-*")); len(left) > 0 {
		t.Errorf("a backup that failed has left %v", left)
	}
	if link.Ended() {
		t.Error("the link has ended")
	}
}

// A disk that fills up in the middle of a run costs time and nothing else.
func TestRunGoesOnWhenThereIsRoomAgain(t *testing.T) {
	disk := newSmallDisk(t, "48m")
	w := world.New(t)
	link, address := disk.linkOn(w)
	w.Nodes(1)
	f := w.Flwr(address)
	app := w.Probe("ok")
	const questions = 12
	run := f.Submit(app.Dir, "-c", app.Config(fmt.Sprintf("questions=%d", questions)))
	app.Await("replies", 3)
	free := disk.fill()
	before := len(app.Read("replies"))
	w.Eventually("the link notices that its disk is full", world.StartLimit, func() bool {
		return strings.Contains(link.Output(), "no space left") || strings.Contains(link.Output(), "disk is full")
	})
	// The time it lasts, longer than most pauses of clients, must not cause any loss.
	pause := time.NewTimer(5 * time.Second)
	<-pause.C
	free()
	freed := time.Now()
	w.Eventually("the run is finished", world.RunLimit, func() bool { return strings.HasPrefix(f.Status(run), "finished") })
	if got := f.Status(run); got != "finished:completed" {
		t.Fatalf("the run is %s\n%s", got, f.Run("log", run, "test", "--show"))
	}
	outcomes := strings.Count(f.Run("log", run, "test", "--show"), "outcome: ok")
	if outcomes != questions {
		t.Errorf("%d of %d questions were answered", outcomes, questions)
	}
	t.Logf("the run was finished %v after there was room again", time.Since(freed).Round(time.Second))
	t.Logf("the disk was filled after %d rounds of %d", before, questions)
}

// The same holds for a node whose disk is full: it takes on nothing that it could not keep,
// and the run waits for it.
func TestNodeGoesOnWhenThereIsRoomAgain(t *testing.T) {
	disk := newSmallDisk(t, "48m")
	w := world.New(t)
	_, address := w.Link()
	data := filepath.Join(disk.dir, "node")
	if err := errors.Join(os.Mkdir(data, 0o700), os.Symlink(data, w.Path("node0"))); err != nil {
		t.Fatal(err)
	}
	node := w.Nodes(1)[0]
	f := w.Flwr(address)
	app := w.Probe("ok")
	const questions = 6
	run := f.Submit(app.Dir, "-c", app.Config(fmt.Sprintf("questions=%d", questions)))
	app.Await("replies", 2)
	free := disk.fill()
	w.Eventually("the node notices that its disk is full", world.StartLimit, func() bool {
		return strings.Contains(node.Output(), "no space left") || strings.Contains(node.Output(), "disk is full")
	})
	free()
	w.Eventually("the run is finished", world.RunLimit, func() bool { return strings.HasPrefix(f.Status(run), "finished") })
	log := f.Run("log", run, "test", "--show")
	if got := f.Status(run); got != "finished:completed" || strings.Count(log, "outcome: ok") != questions {
		t.Errorf("the run is %s\n%s", got, log)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	disk := newSmallDisk(t, "16m")
	w := world.New(t)
	link, _ := disk.linkOn(w, "--isolation", "process")
	link.Stop()
	if err := unix.Mount("", disk.dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := w.Try("link", "--data", w.Path("link"), "--http", w.FreeAddress(), "--isolation", "process")
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "cannot be written") {
		t.Errorf("a link on a read-only disk: %d\n%s%s", code, stdout, stderr)
	}
}
