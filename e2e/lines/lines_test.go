//go:build linux

package lines

import (
	"fmt"
	"sync"
	"testing"
)

// TestBadLines tries runs over every kind of bad line, and expects the same result as over
// good ones.
func TestBadLines(t *testing.T) {
	for i, group := range cells() {
		t.Run(fmt.Sprint("federation-", i), func(t *testing.T) { record(t, tryAll(t, group)) })
	}
}

// tryAll tries cells side by side, and returns the results of those that went as expected.
func tryAll(t *testing.T, cells []cell) map[string]result {
	t.Helper()
	f := newField(t, cells)
	var mu sync.Mutex
	results := make(map[string]result)
	t.Run("cells", func(t *testing.T) { // returns when all of them have ended
		for i, c := range cells {
			t.Run(c.key(), func(t *testing.T) {
				t.Parallel()
				r := f.try(t, c, siteOf(i))
				t.Logf("%s: %s", c.outcome, r)
				if !t.Failed() {
					mu.Lock()
					defer mu.Unlock()
					results[c.key()] = r
				}
			})
		}
	})
	return results
}
