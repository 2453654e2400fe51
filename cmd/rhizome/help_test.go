package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write what the commands print to testdata/help")

// Users rely on the help of a command, so a change to it should show in review.
// `go test ./cmd/rhizome -run TestHelp -update` rewrites it.
func TestHelp(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("COLUMNS", "")
	seen := make(map[string]bool)
	walk(newRoot(), func(cmd *cobra.Command) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".txt"
		seen[name] = true
		var out bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		root.SetArgs(append(strings.Fields(cmd.CommandPath())[1:], "--help"))
		if err := root.Execute(); err != nil {
			t.Errorf("%s --help: %v", cmd.CommandPath(), err)
			return
		}
		path := filepath.Join("testdata", "help", name)
		if *update {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%v: make it with -update", err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s --help is not what %s says (-want +got; rewrite it with -update):\n%s", cmd.CommandPath(), path, diff)
		}
	})
	entries, err := os.ReadDir(filepath.Join("testdata", "help"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !seen[entry.Name()] {
			t.Errorf("testdata/help/%s does not belong to any command", entry.Name())
		}
	}
}
