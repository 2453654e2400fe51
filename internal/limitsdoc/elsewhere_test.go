package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// notLimits lists numbers that look like bounds but are not, by file and text, each with what
// it is instead.
var notLimits = map[string]string{
	"cmd/rhizome/amount.go: 24 * time.Hour":     "a day",
	"cmd/rhizome/amount.go: 1 << 20":            "MiB",
	"cmd/rhizome/doctor.go: 1 << 16":            "how many ports there are",
	"exec/subprocess/nice.go: maxNice = 19":     "the lowest priority that the kernel knows",
	"link/state/sqlite/runs.go: 1 << 62":        "no limit, in the numbers of SQL",
	"p2p/doctor/fail.go: 10 * time.Microsecond": "what a length of time is rounded to",
	"p2p/doctor/serve.go: 1 << 16":              "how many ports there are",
	"protocol/fab/layout.go: 1 << 11":           "a flag of the zip format",
	"protocol/message/wire.go: maxVarint32 = 5": "the bytes of a number of 32 bits on the wire",
}

// A bound outside a limits.go is missing from docs/limits.md and has no reason.
func TestEveryLimitIsInALimitsFile(t *testing.T) {
	root := "../.."
	used := make(map[string]bool)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(entry.Name(), ".") || isForTests(name)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".pb.go") || entry.Name() == "limits.go" {
			return nil
		}
		found, err := boundsIn(path)
		for _, b := range found {
			key := filepath.ToSlash(name) + ": " + b.text
			if used[key] = true; notLimits[key] == "" {
				t.Errorf("%s:%d: %s looks like a bound: give it a name and a reason in limits.go, or add it to notLimits in this test and say what it is", name, b.line, b.text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for key := range notLimits {
		if !used[key] {
			t.Errorf("notLimits has %q, which is not in the code", key)
		}
	}
}

// isForTests: code that no user runs may keep its bounds anywhere.
func isForTests(folder string) bool {
	folder = filepath.ToSlash(folder)
	return folder == "e2e" || folder == "examples" || folder == "internal/natlab" || strings.HasSuffix(folder, "test")
}

type suspect struct {
	line int
	text string
}

// boundsIn finds durations, sizes, queue lengths, and anything named like a bound.
func boundsIn(path string) ([]suspect, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []suspect
	note := func(at ast.Node, text string) { found = append(found, suspect{files.Position(at.Pos()).Line, text}) }
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.MUL && (isNumber(n.X) && isUnit(n.Y) || isUnit(n.X) && isNumber(n.Y)) ||
				n.Op == token.SHL && isNumber(n.X) && number(n.Y) >= 10 {
				note(n, textOf(n))
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) && (isUnit(n.Values[i]) || isLiteral(n.Values[i]) && boundName.MatchString(name.Name)) {
					note(n, name.Name+" = "+textOf(n.Values[i]))
				}
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "make" && len(n.Args) == 2 {
				if _, isChan := n.Args[0].(*ast.ChanType); isChan && number(n.Args[1]) > 1 {
					note(n, "make(chan, "+textOf(n.Args[1])+")")
				}
			}
			for _, arg := range n.Args {
				if isUnit(arg) && !isConversion(n) {
					note(arg, textOf(n.Fun)+"("+textOf(arg)+")")
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && (isUnit(n.Value) || isLiteral(n.Value) && boundName.MatchString(key.Name)) {
				note(n, key.Name+": "+textOf(n.Value))
			}
		}
		return true
	})
	return found, nil
}

// boundName matches names of what bounds something.
var boundName = regexp.MustCompile(`^(max|Max|most|Most)[A-Z]|(Limit|Timeout|Max|Most|Grace|Pause)$`)

func isLiteral(e ast.Expr) bool {
	_, ok := e.(*ast.BasicLit)
	return ok && isNumber(e)
}

// isNumber tells whether e is a number, or a calculation with nothing but numbers.
func isNumber(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.INT || e.Kind == token.FLOAT
	case *ast.BinaryExpr:
		return isNumber(e.X) && isNumber(e.Y)
	}
	return false
}

// number returns the value of an integer; 0 for anything else.
func number(e ast.Expr) int64 {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(lit.Value, 0, 64)
	if err != nil {
		return 0
	}
	return n
}

// isUnit tells whether e is one of the durations that package time names.
func isUnit(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok || pkg.Name != "time" {
		return false
	}
	switch sel.Sel.Name {
	case "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour":
		return true
	}
	return false
}

// isConversion tells whether a call turns a duration into a number, or rounds one for people
// to read.
func isConversion(call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name == "float64"
	case *ast.SelectorExpr:
		return f.Sel.Name == "Round" || f.Sel.Name == "Truncate"
	}
	return false
}

func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Value
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return textOf(e.X) + "." + e.Sel.Name
	case *ast.BinaryExpr:
		return fmt.Sprintf("%s %s %s", textOf(e.X), e.Op, textOf(e.Y))
	}
	return "..."
}
