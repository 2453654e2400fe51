package datadir

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// holdEnv makes the test binary a second process that holds a directory until its
// standard input ends.
const holdEnv = "DATADIR_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		if _, err := Open(dir, "link"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestOpenCreatesPrivately(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "data")
	d := open(t, path, "link")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got := d.Path("a", "b"); got != filepath.Join(path, "a", "b") {
		t.Errorf("Path: %s", got)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path, "link")
}

// TestOpenClosesToOthers opens a directory that was made by hand, or under a lax umask.
func TestOpenClosesToOthers(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	open(t, path, "link")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatal(line, err)
	}
	_, err = Open(path, "link")
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) {
		t.Errorf("second process: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	_ = cmd.Wait()
	open(t, path, "link") // the kernel dropped the lock of the dead
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    error
	}{
		"kind":    {`{"kind":"node","format":1}`, ErrKind},
		"newer":   {`{"kind":"link","format":2}`, ErrNewer},
		"damaged": {`{"kind":`, nil},
		"empty":   {``, nil},
		"huge":    {strings.Repeat(" ", maxMarker+1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			marker := filepath.Join(path, markerName)
			if err := os.WriteFile(marker, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path, "link")
			if err == nil || (c.want != nil && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %v and the path", err, c.want)
			}
			if got, err := os.ReadFile(marker); err != nil || string(got) != c.content {
				t.Errorf("the marker was changed: %q, %v", got, err)
			}
		})
	}
}

func TestNotADirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Join(path, "below")} {
		if _, err := Open(p, "link"); err == nil || !strings.Contains(err.Error(), "in the way") {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	path := t.TempDir()
	open(t, path, "link").Close()
	if err := os.Chmod(path, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, "link"); !errors.Is(err, ErrDenied) {
		t.Errorf("error: %v", err)
	}
}

func TestFilesAreReplaced(t *testing.T) {
	for name, replace := range map[string]func(string, []byte, os.FileMode) error{"WriteFile": WriteFile, "ReplaceFile": ReplaceFile} {
		path := filepath.Join(t.TempDir(), "f")
		for _, content := range []string{"one", "two"} {
			if err := replace(path, []byte(content), 0o640); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != content {
				t.Fatalf("%s: %q, %v", name, got, err)
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 {
			t.Errorf("%s: %d files left, %v", name, len(entries), err)
		}
		if err := replace(filepath.Join(path, "g"), nil, 0o600); err == nil {
			t.Errorf("%s wrote into something that is not a folder", name)
		}
	}
}

func open(t *testing.T, path, kind string) *Dir {
	t.Helper()
	d, err := Open(path, kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // some tests have closed it
	return d
}
