// Package layering keeps the imports of the module going one way (docs/architecture.md):
//
//	cmd -> link, node, exec -> p2p -> internal -> protocol
//
// link and node never import each other; they mount what they share from internal. The rooms of p2p do not know the
// host that assembles them. Tests of the whole (e2e) and examples stand above. Every package must also have a comment, and a
// place on the map.
package layering

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rhizome-fl/rhizome/"

// allowed lists, for each top folder, the top folders that it may import besides itself.
var allowed = map[string][]string{
	"protocol": {},
	"p2p":      {"protocol", "internal"},
	"exec":     {"p2p", "protocol", "internal"},
	"link":     {"exec", "p2p", "protocol", "internal"},
	"node":     {"exec", "p2p", "protocol", "internal"},
	"internal": {"protocol"},
	"cmd":      {"link", "node", "exec", "p2p", "protocol", "internal"},
	// Tests of the whole look at any part and imitate some; only examples use them.
	"e2e": {"link", "node", "exec", "p2p", "protocol", "internal"},
	// Some examples are measuring tools that stand in for one side of a protocol.
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

// aboveTheHost lists what lies below p2p although it is made of whole hosts.
var aboveTheHost = map[string]string{
	"p2p/relayd": "is a daemon: a host and a relay",
}

// A room's tests may use the whole overlay, since nothing imports them.
func TestRoomsOfP2PDoNotKnowTheHost(t *testing.T) {
	for _, pkg := range list(t) {
		path := strings.TrimPrefix(pkg.ImportPath, module)
		if !strings.HasPrefix(path, "p2p/") || aboveTheHost[path] != "" {
			continue
		}
		if slices.Contains(pkg.Imports, module+"p2p") {
			t.Errorf("%s must not import p2p, which assembles it: let it take a narrow interface", path)
		}
	}
}

// Generated code and test helpers lie beside what they belong to and need no entry on the map.
func TestTheMapNamesEveryPackage(t *testing.T) {
	const file = "docs/architecture.md"
	content, err := os.ReadFile("../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	packages, named := map[string]bool{}, map[string]bool{}
	for _, pkg := range list(t) {
		packages[strings.TrimPrefix(pkg.ImportPath, module)] = true
	}
	for _, name := range namesOnTheMap(string(content)) {
		whole, below := name[0], name[1]
		switch {
		case isFolder(packages, whole):
			named[whole] = true
		case isFolder(packages, below):
			named[below] = true
		case strings.Contains(whole, "/"): // and not the name of a program
			t.Errorf("the house table of %s names %s, which is not a package", file, whole)
		}
	}
	for path := range packages {
		if !named[path] && !strings.HasSuffix(path, "pb") && !strings.HasSuffix(path, "test") {
			t.Errorf("%s is not in the house table of %s: name it in the row of %s, with what it is for", path, file, top(module+path))
		}
	}
}

// isFolder tells whether a folder is a package or contains some.
func isFolder(packages map[string]bool, folder string) bool {
	for path := range packages {
		if path == folder || strings.HasPrefix(path, folder+"/") {
			return true
		}
	}
	return false
}

var (
	mapRow  = regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|.*$")
	mapName = regexp.MustCompile("`([a-z0-9/]+)`")
)

// namesOnTheMap returns the names in the table of the house, each as it is written and as a path below the folder of its row.
func namesOnTheMap(text string) (names [][2]string) {
	_, table, _ := strings.Cut(text, "## The house")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, row := range mapRow.FindAllStringSubmatch(table, -1) {
		for _, name := range mapName.FindAllStringSubmatch(row[0], -1) {
			names = append(names, [2]string{name[1], row[1] + "/" + name[1]})
		}
	}
	return names
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
