//go:build linux

package lines

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The table in the documentation takes its rows from the faults that are tried, and its
// figures from the last time that all of them were tried.
const (
	tableBegin = "<!-- bad lines: made by RHIZOME_UPDATE_DOCS=1 CHAOS_RUN=TestBadLines make chaos -->\n"
	tableEnd   = "<!-- end of the bad lines -->\n"
)

var docs = filepath.Join("..", "..", "docs", "reliability.md")

func TestDocumentedLinesAreTheTestedOnes(t *testing.T) {
	_, old, _ := documented(t)
	if withoutFigures(old) != withoutFigures(table(nil)) {
		t.Errorf("the table in %s is not that of the tests; see the comment above it", docs)
	}
}

// withoutFigures keeps only the fault and the outcome of each row.
func withoutFigures(table string) string {
	return regexp.MustCompile(`(?m)^((?:\|[^|\n]*){2}).*$`).ReplaceAllString(table, "$1")
}

// record puts what was measured into the documentation if that was asked for. What was not
// tried this time stays as it was.
func record(t *testing.T, results map[string]result) {
	t.Helper()
	before, old, after := documented(t)
	cells := figures(old)
	for key, r := range results {
		cells[key] = r.String()
	}
	t.Log("\n" + table(cells))
	if os.Getenv("RHIZOME_UPDATE_DOCS") == "" {
		return
	}
	if err := os.WriteFile(docs, []byte(before+tableBegin+table(cells)+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// figures returns the figures of a table, by the key of their cell.
func figures(table string) map[string]string {
	found := make(map[string]string)
	for row := range strings.Lines(table) {
		columns := strings.Split(row, "|")
		for i, p := range paths {
			if at := 3 + i; at < len(columns) {
				found[strings.TrimSpace(columns[1])+"/"+p.name] = strings.TrimSpace(columns[at])
			}
		}
	}
	return found
}

// documented returns the documentation before the table, the table, and what follows it.
func documented(t *testing.T) (before, table, after string) {
	t.Helper()
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), tableBegin)
	table, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table of bad lines", docs)
	}
	return before, table, after
}

func table(figures map[string]string) string {
	var b strings.Builder
	b.WriteString("| fault | outcome |")
	for _, p := range paths {
		fmt.Fprintf(&b, " %s |", p.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(paths)) + "\n")
	for _, f := range faults {
		fmt.Fprintf(&b, "| %s | %s |", f.name, f.outcome)
		for _, p := range paths {
			fmt.Fprintf(&b, " %s |", cmp.Or(figures[cell{f, p}.key()], "-"))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// String returns what the table shows.
func (r result) String() string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }
	if r.told > 0 {
		return fmt.Sprintf("%s, error after %s", seconds(r.took), seconds(r.told))
	}
	return seconds(r.took)
}
