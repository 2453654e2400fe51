//go:build linux

package nat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pairTable is the matrix as Markdown.
func pairTable(pairs []pair) string {
	var b strings.Builder
	b.WriteString("| node | link | relays | session after | direct after | transport |\n|---|---|---|---|---|---|\n")
	for _, p := range sorted(pairs) {
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s |\n", p.node, p.link, p.relays, millis(p.session), millis(p.direct), p.transport)
	}
	return b.String()
}

func millis(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// record puts a table into docs/connectivity.md, between the marks of its name.
func record(t *testing.T, name, table string) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "connectivity.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
	head, rest, ok := strings.Cut(string(text), begin)
	_, foot, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no marks for %s", path, name)
	}
	if err := os.WriteFile(path, []byte(head+begin+table+end+foot), 0o644); err != nil {
		t.Fatal(err)
	}
}
