package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// probe is the test app with one way to fail, and the file of its events.
type probe struct {
	w      *world
	dir    string
	events string
}

// probe makes a copy of the app for the mode.
func (w *world) probe(mode string) *probe {
	w.t.Helper()
	p := &probe{w: w, dir: w.path("probe-" + mode), events: w.path("events-" + mode)}
	if err := os.CopyFS(p.dir, os.DirFS(filepath.Join("testdata", "apps", "probe"))); err != nil {
		w.t.Fatal(err)
	}
	text := fmt.Sprintf("\"\"\"What goes wrong.\"\"\"\n\nMODE = %q\n", mode)
	if err := os.WriteFile(filepath.Join(p.dir, "probe", "mode.py"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// config is the value for -c: settings of the app besides the file of its events.
func (p *probe) config(settings ...string) string {
	return strings.Join(append([]string{fmt.Sprintf("events=%q", p.events)}, settings...), " ")
}

// event is one line that the app wrote.
type event struct {
	name string
	at   time.Time
	pid  int
}

func (p *probe) read(name string) []event {
	text, _ := os.ReadFile(p.events)
	var found []event
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != name {
			continue
		}
		seconds, err1 := strconv.ParseFloat(fields[1], 64)
		pid, err2 := strconv.Atoi(fields[2])
		if err1 != nil || err2 != nil {
			p.w.t.Fatalf("event %q", line)
		}
		found = append(found, event{name: fields[0], at: time.UnixMicro(int64(seconds * 1e6)), pid: pid})
	}
	return found
}

// await waits for n events of a name.
func (p *probe) await(name string, n int) []event {
	p.w.t.Helper()
	var found []event
	p.w.eventually(fmt.Sprintf("%d events %q of the app", n, name), runLimit, func() bool {
		found = p.read(name)
		return len(found) >= n
	})
	return found
}
