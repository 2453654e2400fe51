package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestJournalSurvives(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	rec := record{TaskID: 1, RunID: 2, Type: "flwr-clientapp", Handle: []byte(`{"pid":3}`), Exit: &task.Exit{Code: 4}}
	name := launchName(1, "token")
	if err := j.begin(name, "token", rec); err != nil {
		t.Fatal(err)
	}
	for _, junk := range []string{"9-ffff.token", "9-ffff.out", "8-eeee.json", "7-dddd.json.new", ".new-123"} {
		if err := os.WriteFile(filepath.Join(dir, junk), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := j.load()
	if err != nil {
		t.Fatal(err)
	}
	want := []earlier{{name: name, token: "token", record: rec}}
	if diff := cmp.Diff(want, found, cmp.AllowUnexported(earlier{}, record{})); diff != "" {
		t.Error(diff)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("%d files are left, want the record and its token", len(entries))
	}
	if err := j.forget(name); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d files are left after forget", len(entries))
	}
}

func TestForwarderKeepsOrderThroughFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		failures := 5
		f := newForwarder(func(_ context.Context, lines []string) error {
			if failures--; failures >= 0 {
				return errors.New("no connection")
			}
			got = append(got, lines...)
			return nil
		})
		done := make(chan struct{})
		go func() { defer close(done); f.run(t.Context()) }()
		var want []string
		for i := range 2 * maxBatchLines {
			f.add(fmt.Append(nil, i))
			want = append(want, fmt.Sprintln(i))
		}
		synctest.Wait()
		f.close()
		<-done
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestForwarderIsBoundedAndSaysSo(t *testing.T) {
	var got []string
	release := make(chan struct{})
	f := newForwarder(func(_ context.Context, lines []string) error {
		<-release
		got = append(got, lines...)
		return nil
	})
	line := []byte(strings.Repeat("x", maxBatchBytes/4))
	for range 100 {
		f.add(line)
	}
	if f.size > maxQueuedBytes {
		t.Fatalf("%d bytes wait", f.size)
	}
	batch, _ := f.take()
	f.add([]byte("after"))
	close(release)
	f.close()
	f.run(t.Context())
	lost := 100 - len(batch) - (len(got) - 2)
	if n := len(got); got[n-1] != "after\n" || got[n-2] != fmt.Sprintf("[%d lines were left out: they came faster than they could be sent]\n", lost) {
		t.Errorf("last lines %q, %d lost", got[len(got)-2:], lost)
	}
}

func TestForwarderEndsWhenLinesAreNotWanted(t *testing.T) {
	for _, err := range []error{errDeadToken, errUnsupported, &statusError{status: 400}} {
		f := newForwarder(func(context.Context, []string) error { return err })
		f.add([]byte("x"))
		f.run(t.Context()) // would otherwise wait for ever
		f.add([]byte("y"))
		if len(f.lines) != 0 {
			t.Error("lines gather although nobody wants them")
		}
	}
}

func TestErrorText(t *testing.T) {
	for body, want := range map[string]string{
		`{"code":1008,"detail":"Authentication failed."}`: "Authentication failed.",
		`{"detail":"a","extra":"b\nc"}`:                   "a b c",
		`<html>`:                                          "no explanation",
		``:                                                "no explanation",
		`{"detail":"` + strings.Repeat("é", 1000) + `"}`: strings.Repeat("é", maxDetail/2) + "...",
	} {
		if got := errorText([]byte(body)); got != want {
			t.Errorf("errorText(%.40q) = %q, want %q", body, got, want)
		}
	}
}
