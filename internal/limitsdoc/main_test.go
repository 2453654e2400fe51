package main

import (
	"bytes"
	"testing"
)

// Every bound has a reason, in the code and so in the document.
func TestEveryLimitHasAReason(t *testing.T) {
	packages, err := collect("../..")
	if err != nil {
		t.Fatal(err)
	}
	bounds := 0
	for _, p := range packages {
		for _, b := range p.bounds {
			bounds++
			if b.reason == "" {
				t.Errorf("%s/limits.go: %v has no reason", p.path, b.names)
			}
		}
	}
	if len(packages) < 20 || bounds < 100 {
		t.Errorf("found %d limits in %d packages; where are the others?", bounds, len(packages))
	}
	text := document(packages)
	for _, known := range []string{"## link/state", "`MaxUnfinishedRuns` | `1_000` |"} {
		if !bytes.Contains(text, []byte(known)) {
			t.Errorf("the document lacks %q", known)
		}
	}
}
