package world

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Usage is what a process holds at a given moment.
type Usage struct {
	RSS        int // bytes
	Files      int // open descriptors
	Goroutines int // 0 if the process serves no profiles
}

// UsageOf measures a process; profiles is its --pprof address, or empty.
func UsageOf(t testing.TB, pid int, profiles string) Usage {
	t.Helper()
	var u Usage
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			if _, err := fmt.Sscan(rest, &u.RSS); err != nil {
				t.Fatalf("memory of %d: %v", pid, err)
			}
			u.RSS <<= 10 // it says kB but means KiB
		}
	}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	u.Files = len(files)
	if profiles != "" {
		u.Goroutines = goroutines(t, profiles)
	}
	return u
}

// DiskUse is how many bytes the files under a folder take.
func DiskUse(t testing.TB, folder string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // it was removed just now
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func goroutines(t testing.TB, profiles string) int {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + profiles + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscanf(string(text), "goroutine profile: total %d", &n); err != nil {
		t.Fatalf("profile of goroutines: %v in %.80q", err, text)
	}
	return n
}
