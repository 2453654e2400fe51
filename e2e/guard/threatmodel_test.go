package guard

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The threat model names the test that shows each defence, and that test must exist.
func TestThreatModelNamesRealTests(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "THREAT_MODEL.md"))
	if err != nil {
		t.Fatal(err)
	}
	defined := make(map[string]bool)
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range declaration.FindAllSubmatch(source, -1) {
			defined[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(text, -1)
	for _, match := range named {
		if name := string(match[1]); !defined[name] {
			t.Errorf("THREAT_MODEL.md names %s, and there is no such test", name)
		}
	}
	if len(named) < 40 {
		t.Errorf("THREAT_MODEL.md names %d tests", len(named))
	}
}
