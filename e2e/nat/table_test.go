//go:build linux

package nat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pairTable renders the matrix as Markdown.
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

// pathGrid shows which pairs end up with a direct path, with nodes in rows and links in
// columns.
func pathGrid(pairs []pair) string {
	var b strings.Builder
	b.WriteString("| node \\ link |")
	for _, link := range kinds {
		fmt.Fprintf(&b, " %s |", link)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(kinds)) + "\n")
	for _, node := range append(slices.Clone(kinds), sameLAN) {
		fmt.Fprintf(&b, "| %s |", node)
		for _, link := range kinds {
			cell := "-"
			for _, p := range pairs {
				if p.node == string(node) && p.link == string(link) && p.direct > 0 {
					cell = "direct"
				} else if p.node == string(node) && p.link == string(link) && cell == "-" {
					cell = "relay"
				}
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// record logs a table. When figures are being measured, it also puts the table into
// docs/connectivity.md, between the marks with its name.
func record(t *testing.T, name, table string) {
	t.Helper()
	t.Log("\n" + table)
	if !recording() {
		return
	}
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
