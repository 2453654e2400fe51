// Command limitsdoc writes docs/limits.md: all bounds and timeouts of Rhizome with their
// reasons, taken from the limits.go files of its packages. `make generate` runs it, and
// `make lint` complains if the document differs from the code.
//
//	go run ./internal/limitsdoc FOLDER-OF-THE-MODULE
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:generate go run . ../..

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "limitsdoc: want the folder of the module")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "limitsdoc:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	packages, err := collect(root)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "docs", "limits.md"), document(packages), 0o644)
}

// bound is one constant, or several that share a reason.
type bound struct {
	names, values []string
	reason        string
}

// limits are the bounds of a package.
type limits struct {
	path   string // of the folder, from the root
	bounds []bound
}

// collect reads all limits.go files, in the order of their paths.
func collect(root string) ([]limits, error) {
	var packages []limits
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return fs.SkipDir
		}
		if entry.Name() != "limits.go" {
			return nil
		}
		bounds, err := read(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		packages = append(packages, limits{path: filepath.ToSlash(folder), bounds: bounds})
		return nil
	})
	return packages, err
}

// read collects the constants of a file. Constants that follow each other without a comment or
// an empty line in between share a reason, and the first of a group may have that of the group.
func read(path string) ([]bound, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var bounds []bound
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		last := 0 // line
		for i, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			reason := strings.TrimSpace(text(value.Doc) + " " + text(value.Comment))
			if reason == "" && i == 0 {
				reason = text(group.Doc)
			}
			line := files.Position(value.Pos()).Line
			if follows := i > 0 && reason == "" && line == last+1; !follows {
				bounds = append(bounds, bound{reason: reason})
			}
			last = files.Position(value.End()).Line
			b := &bounds[len(bounds)-1]
			for i, name := range value.Names {
				b.names = append(b.names, name.Name)
				b.values = append(b.values, source(files, value, i))
			}
		}
	}
	return bounds, nil
}

func text(comment *ast.CommentGroup) string {
	if comment == nil {
		return ""
	}
	return strings.Join(strings.Fields(comment.Text()), " ")
}

func source(files *token.FileSet, value *ast.ValueSpec, i int) string {
	if i >= len(value.Values) {
		return ""
	}
	var out bytes.Buffer
	if err := printer.Fprint(&out, files, value.Values[i]); err != nil {
		return ""
	}
	return out.String()
}

// document renders the Markdown.
func document(packages []limits) []byte {
	var out bytes.Buffer
	out.WriteString(`# Limits

Every queue, request, frame, tree, log and table of Rhizome has a bound, and every wait an end. They stand in the
` + "`limits.go`" + ` of their package, each with its reason; past a bound there is an error that says so, not a crash. This page is
made of those files by ` + "`make generate`" + `.
`)
	for _, p := range packages {
		if len(p.bounds) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n## %s\n| limit | value | why |\n|---|---|---|\n", p.path)
		for _, b := range p.bounds {
			fmt.Fprintf(&out, "| %s | %s | %s |\n", code(b.names), code(b.values), strings.ReplaceAll(b.reason, "|", "\\|"))
		}
	}
	return out.Bytes()
}

// code quotes words for a cell of a table.
func code(words []string) string {
	return strings.ReplaceAll("`"+strings.Join(words, "`, `")+"`", "|", "\\|")
}
