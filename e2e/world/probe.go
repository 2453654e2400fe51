package world

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Probe is the test app with one way to fail, and with a file of its events.
type Probe struct {
	w *World
	// Dir is the folder of the app, and Events the file of its events.
	Dir, Events string
}

// Probe makes a copy of the app for a mode.
func (w *World) Probe(mode string) *Probe {
	w.t.Helper()
	w.probes++
	name := fmt.Sprintf("%s-%d", mode, w.probes)
	p := &Probe{w: w, Dir: w.Path("probe-" + name), Events: w.Path("events-" + name)}
	if err := os.CopyFS(p.Dir, os.DirFS(filepath.Join(checkout(w.t), "e2e", "testdata", "apps", "probe"))); err != nil {
		w.t.Fatal(err)
	}
	text := fmt.Sprintf("\"\"\"What goes wrong.\"\"\"\n\nMODE = %q\n", mode)
	if err := os.WriteFile(filepath.Join(p.Dir, "probe", "mode.py"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// Config is the value for -c: it names the file of the app's events and adds other settings.
func (p *Probe) Config(settings ...string) string {
	return strings.Join(append([]string{fmt.Sprintf("events=%q", p.Events)}, settings...), " ")
}

// Event is one line that the app wrote.
type Event struct {
	Name string
	At   time.Time
	PID  int
}

// Read returns the events with a given name so far.
func (p *Probe) Read(name string) []Event {
	text, _ := os.ReadFile(p.Events)
	var found []Event
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
		found = append(found, Event{Name: fields[0], At: time.UnixMicro(int64(seconds * 1e6)), PID: pid})
	}
	return found
}

// Await waits for n events with a given name.
func (p *Probe) Await(name string, n int) []Event {
	p.w.t.Helper()
	var found []Event
	p.w.Eventually(fmt.Sprintf("%d events %q of the app", n, name), RunLimit, func() bool {
		found = p.Read(name)
		return len(found) >= n
	})
	return found
}
