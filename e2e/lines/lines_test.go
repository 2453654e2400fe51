//go:build linux

package lines

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestBadLines has runs over every kind of bad line, and wants the result of good ones.
func TestBadLines(t *testing.T) {
	var mu sync.Mutex
	results := make(map[string]result)
	for i, group := range cells() {
		t.Run(fmt.Sprint("federation-", i), func(t *testing.T) {
			f := newField(t, group)
			t.Run("cells", func(t *testing.T) { // ends when all of them have
				for i, c := range group {
					t.Run(c.key(), func(t *testing.T) {
						t.Parallel()
						r := f.try(t, c, siteOf(i))
						t.Logf("the run took %v; %s", r.took.Round(time.Second), c.outcome)
						if r.told > 0 {
							t.Logf("the ServerApp was told after %v", r.told.Round(time.Second))
						}
						mu.Lock()
						defer mu.Unlock()
						results[c.key()] = r
					})
				}
			})
		})
	}
	if !t.Failed() {
		record(t, results)
	}
}
