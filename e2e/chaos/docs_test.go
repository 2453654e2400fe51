package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The fault matrix in the documentation is generated from the cells that are tested.
const (
	tableBegin = "<!-- fault matrix: made by RHIZOME_UPDATE_DOCS=1 go test ./e2e/chaos -run TestDocumented -->\n"
	tableEnd   = "<!-- end of the fault matrix -->\n"
)

func TestDocumentedMatrixIsTheTestedOne(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "reliability.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), tableBegin)
	old, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table of the fault matrix", path)
	}
	if old == table() {
		return
	}
	if os.Getenv("RHIZOME_UPDATE_DOCS") == "" {
		t.Fatalf("the table in %s is not that of the tests; see the comment above it", path)
	}
	if err := os.WriteFile(path, []byte(before+tableBegin+table()+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| killed |")
	for _, m := range moments {
		fmt.Fprintf(&b, " %s |", m.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(moments)) + "\n")
	for _, process := range processes {
		fmt.Fprintf(&b, "| %s |", process)
		for _, m := range moments {
			fmt.Fprintf(&b, " %s |", expected(process, m.name))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for _, m := range moments {
		fmt.Fprintf(&b, "* *%s*: %s.\n", m.name, m.means)
	}
	return b.String()
}
