package warm

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhizome-fl/rhizome/e2e/world"
)

// rude is a run of an app that takes more than its share in some way.
type rude struct {
	f     *federation
	how   string
	stage string // folder through which the test hears from it and ends it
	run   string
}

// beRude starts a run and waits until it misbehaves.
func (f *federation) beRude(how string) *rude {
	f.t.Helper()
	r := &rude{f: f, how: how, stage: f.folder(how)}
	r.run = f.Submit(f.app("rude", nil), "-c", fmt.Sprintf("how=%q dir=%q", how, r.stage))
	f.Eventually("the app that "+how+" misbehaves", world.RunLimit, func() bool {
		_, err := os.Stat(filepath.Join(r.stage, "begun"))
		return err == nil
	})
	return r
}

// end lets the run end and returns what it printed.
func (r *rude) end() lines {
	r.f.t.Helper()
	r.f.write(filepath.Join(r.stage, "enough"), "")
	out := lines{r.f.t, r.f.Run("log", r.run, "test", "--stream")}
	if !strings.Contains(out.text, "the end of what "+r.how) {
		r.f.t.Errorf("the app that %s did not come to its end:\n%s", r.how, world.Tail(out.text, 20))
	}
	return out
}

// rudeness lists all the ways to misbehave, with the check for each. The last does not wait for
// the test to have seen enough, but takes a while.
var rudeness = []struct {
	how   string
	check func(r *rude, out lines)
}{
	{"prints", checkPrinted},
	{"polls", checkPolled},
	{"withholds", checkWithheld},
	{"asks", checkAsked},
}

// checkPrinted expects the last lines of what was printed, in files of bounded size.
func checkPrinted(r *rude, out lines) {
	f := r.f
	f.t.Helper()
	f.wantOutcomes(out, "ok")
	if len(out.text) > 10<<20 {
		f.t.Errorf("flwr log gives %d bytes", len(out.text))
	}
	if !strings.Contains(out.text, "server 099999") {
		f.t.Errorf("the log has not the last lines of the ServerApp:\n%.300s\n...\n%s", out.text, world.Tail(out.text, 3))
	}
	// There are two files of 8 MiB for each run and type of app.
	for daemon, app := range map[string]string{"link": "flwr-serverapp", "node0": "flwr-clientapp", "node1": "flwr-clientapp"} {
		files, err := filepath.Glob(f.Path(daemon, "superexec", "logs", r.run, app+".log*"))
		if err != nil || len(files) != 2 {
			f.t.Fatalf("logs of %s: %v, %v", daemon, files, err)
		}
		var total int64
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				f.t.Fatal(err)
			}
			total += info.Size()
		}
		if total > 17<<20 {
			f.t.Errorf("%s keeps %d bytes of output", daemon, total)
		}
		text, err := os.ReadFile(f.Path(daemon, "superexec", "logs", r.run, app+".log"))
		if err != nil || !strings.Contains(string(text), " 099999 ") {
			f.t.Errorf("%s has not kept the last line of its app (%v)", daemon, err)
		}
	}
}

// checkPolled expects the answers that the polls asked for.
func checkPolled(r *rude, out lines) {
	r.f.t.Helper()
	r.f.wantOutcomes(out, "ok")
}

// checkAsked expects an answer for each of the ids.
func checkAsked(r *rude, out lines) {
	r.f.t.Helper()
	const want = "10000 answers of codes {3}"
	if !strings.Contains(out.text, want) {
		r.f.t.Errorf("want %q in\n%s", want, world.Tail(out.text, 10))
	}
}

// checkWithheld expects an error for a reply without its objects, no reply to an instruction
// without its objects, and answers from the same nodes afterwards.
func checkWithheld(r *rude, out lines) {
	r.f.t.Helper()
	r.f.wantOutcomes(out, "error 8", "ok")
	if !strings.Contains(out.text, "0 answers to what was never sent") {
		r.f.t.Errorf("the log is\n%s", world.Tail(out.text, 20))
	}
}

// wantOutcomes checks the answers of all nodes to each question.
func (f *federation) wantOutcomes(out lines, want ...string) {
	f.t.Helper()
	var all []string
	for _, one := range want {
		all = append(all, slices.Repeat([]string{one}, testNodes)...)
	}
	var got []string
	for _, match := range regexp.MustCompile(`(?m)^outcome: (.*)$`).FindAllStringSubmatch(out.text, -1) {
		got = append(got, match[1])
	}
	if !slices.Equal(got, all) {
		f.t.Errorf("the outcomes are %q, want %q:\n%s", got, all, world.Tail(out.text, 20))
	}
}

// mostMemory bounds the peak memory of a link, a node or a SuperExec, in bytes.
const mostMemory = 256 << 20

// checkMemory expects that none of our processes held in memory all that the apps sent.
func (f *federation) checkMemory() {
	f.t.Helper()
	for _, p := range f.Processes(world.Binary(f.t)) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
		if err != nil {
			f.t.Fatal(err)
		}
		match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
		if match == nil {
			f.t.Fatalf("no VmHWM of process %d", p.PID)
		}
		kilobytes, err := strconv.Atoi(string(match[1]))
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Logf("at most %d MiB: %.80s", kilobytes>>10, strings.TrimPrefix(p.Args, world.Binary(f.t)))
		if kilobytes<<10 > mostMemory {
			f.t.Errorf("%d MiB were taken by %s", kilobytes>>10, p.Args)
		}
	}
}
