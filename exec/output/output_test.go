package output

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// say runs a shell script whose output goes into the pipe.
func say(t *testing.T, p *Pipe, script string) {
	t.Helper()
	end, err := p.AppEnd()
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Stdout, cmd.Stderr = end, end
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
}

func TestLinesOfAnApp(t *testing.T) {
	p, err := CreatePipe(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	hold, err := p.AppEnd() // what an app holds for as long as it lives
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	done := make(chan error, 1)
	go func() { done <- p.Lines(func(line []byte) { lines = append(lines, string(line)) }) }()
	say(t, p, `echo one; echo two >&2; printf 'three\r\n\nlast'`)
	hold.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "two", "three", "", "last"}, lines); diff != "" {
		t.Error(diff)
	}
}

func TestReaderThatTakesOverGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	first, err := CreatePipe(path)
	if err != nil {
		t.Fatal(err)
	}
	app, err := first.AppEnd()
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	if err := first.Close(); err != nil { // the SuperExec dies
		t.Fatal(err)
	}
	if _, err := app.WriteString("said while nobody listened\n"); err != nil {
		t.Fatalf("the app saw the death of its reader: %v", err)
	}
	second, err := OpenPipe(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	var got string
	second.Finish() // the app still holds the pipe: only the deadline ends this
	if err := second.Lines(func(line []byte) { got = string(line) }); err != nil {
		t.Fatal(err)
	}
	if got != "said while nobody listened" {
		t.Errorf("line %q", got)
	}
}

func TestLongLineIsCut(t *testing.T) {
	p, err := CreatePipe(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	app, err := p.AppEnd()
	if err != nil {
		t.Fatal(err)
	}
	var writer sync.WaitGroup
	writer.Go(func() { app.Write(bytes.Repeat([]byte{'x'}, 3*maxLine/2)); app.Close() })
	var sizes []int
	if err := p.Lines(func(line []byte) { sizes = append(sizes, len(line)) }); err != nil {
		t.Fatal(err)
	}
	writer.Wait()
	if diff := cmp.Diff([]int{maxLine, maxLine / 2}, sizes); diff != "" {
		t.Error(diff)
	}
}

func TestLogIsRotatedAndShared(t *testing.T) {
	dir := t.TempDir()
	logs, err := OpenLogs(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := logs.Open(7, "flwr-clientapp")
	if err != nil {
		t.Fatal(err)
	}
	b, err := logs.Open(7, "flwr-clientapp")
	if err != nil || a != b {
		t.Fatalf("two apps of one run have two logs (%v)", err)
	}
	a.Close()
	line := bytes.Repeat([]byte{'y'}, maxLine)
	for written := 0; written < 3*maxFile; written += maxLine {
		b.WriteLine(line)
	}
	b.Note("task %d ended", 5)
	b.Close()
	var total int64
	files, _ := os.ReadDir(filepath.Join(dir, "7"))
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if len(files) != 1+keepOld || total > (1+keepOld)*(maxFile+2*maxLine) {
		t.Errorf("%d files with %d bytes", len(files), total)
	}
	last, err := os.ReadFile(filepath.Join(dir, "7", "flwr-clientapp.log"))
	if err != nil || !strings.HasSuffix(string(last), " task 5 ended\n") {
		t.Errorf("last line: %v", err)
	}
}

func TestOldRunsGoAndThoseInUseStay(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for run := range maxRuns + 5 {
		path := filepath.Join(dir, fmt.Sprint(run))
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(path, "flwr-clientapp.log")
		if err := os.WriteFile(file, []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, old, old.Add(time.Duration(run)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := OpenLogs(dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := logs.Open(0, "flwr-clientapp") // the oldest of all
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for run, want := range map[int]bool{0: true, 1: false, 4: false, maxRuns + 4: true} {
		_, err := os.Stat(filepath.Join(dir, fmt.Sprint(run)))
		if (err == nil) != want {
			t.Errorf("log of run %d kept: %v, want %v", run, err == nil, want)
		}
	}
}
