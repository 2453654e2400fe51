// Package layering keeps the imports of the module going one way (docs/architecture.md):
//
//	cmd -> link, node, exec -> p2p -> internal -> protocol
//
// link and node never import each other; link and node mount what they share from internal. Tests of the whole
// (e2e) and examples stand above.
package layering

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rhizome-fl/rhizome/"

// allowed lists, for each top folder, the top folders it may import besides itself.
var allowed = map[string][]string{
	"protocol": {},
	"p2p":      {"protocol", "internal"},
	"exec":     {"p2p", "protocol", "internal"},
	"link":     {"exec", "p2p", "protocol", "internal"},
	"node":     {"exec", "p2p", "protocol", "internal"},
	"internal": {"protocol"},
	"cmd":      {"link", "node", "exec", "p2p", "protocol", "internal"},
	// Tests of the whole look at any part, and imitate some; nothing but examples uses them.
	"e2e": {"link", "node", "exec", "p2p", "protocol", "internal"},
	// Measuring tools that stand for one side of a protocol.
	"examples": {"e2e", "p2p", "protocol"},
}

func TestImportsGoOneWay(t *testing.T) {
	for _, pkg := range list(t) {
		from := top(pkg.ImportPath)
		rule, known := allowed[from]
		if !known {
			t.Errorf("%s is in no folder of the house plan", pkg.ImportPath)
			continue
		}
		for _, imported := range append(append(pkg.Imports, pkg.TestImports...), pkg.XTestImports...) {
			to := top(imported)
			if !strings.HasPrefix(imported, module) || to == from || slices.Contains(rule, to) {
				continue
			}
			t.Errorf("%s must not import %s: %s may import only %v", pkg.ImportPath, imported, from, rule)
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, pkg := range list(t) {
		if len(pkg.GoFiles) > 0 && pkg.Doc == "" && !strings.HasSuffix(pkg.ImportPath, "pb") {
			t.Errorf("%s has no package comment", pkg.ImportPath)
		}
	}
}

type goPackage struct {
	ImportPath, Doc                             string
	GoFiles, Imports, TestImports, XTestImports []string
}

func list(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,GoFiles,Imports,TestImports,XTestImports", module+"...").Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	var packages []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var pkg goPackage
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, pkg)
	}
	if len(packages) < 10 {
		t.Fatalf("go list named %d packages: this test looks at the wrong module", len(packages))
	}
	return packages
}

func top(importPath string) string {
	folder, _, _ := strings.Cut(strings.TrimPrefix(importPath, module), "/")
	return folder
}
