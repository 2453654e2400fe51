package objects

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// TestDirAgainstAModel has a Dir do what a map does, over restarts.
func TestDirAgainstAModel(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(path)
		d, err := OpenDir(path, DirOptions{})
		if err != nil {
			t.Fatal(err)
		}
		stored, begun := map[int]bool{}, map[int]int{}
		pick := func(t *rapid.T) (int, []byte, string) {
			n := rapid.IntRange(0, 3).Draw(t, "object")
			content, id := blob(uint64(n), []int{0, 100, 70_000, 300_000}[n])
			return n, content, id
		}
		ctx := context.Background()
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n, content, id := pick(t)
				if err := d.Put(ctx, id, int64(len(content)), bytes.NewReader(content)); err != nil {
					t.Fatal(err)
				}
				stored[n] = true
			},
			"remove": func(t *rapid.T) {
				n, _, id := pick(t)
				if err := d.Remove(id); err != nil {
					t.Fatal(err)
				}
				delete(stored, n)
				delete(begun, n)
			},
			"receive": func(t *rapid.T) {
				n, content, id := pick(t)
				p, err := d.Partial(ctx, id)
				if err != nil || (p == nil) != stored[n] {
					t.Fatalf("Partial = %v, %v", p, err)
				}
				if p == nil {
					return
				}
				if p.Offset() != int64(begun[n]) {
					t.Fatalf("goes on at %d, and not at %d", p.Offset(), begun[n])
				}
				end := rapid.IntRange(begun[n], len(content)).Draw(t, "until")
				if err := p.Expect(ctx, int64(len(content))); err != nil {
					t.Fatal(err)
				}
				if _, err := p.Write(content[begun[n]:end]); err != nil {
					t.Fatal(err)
				}
				if begun[n] = end; end < len(content) {
					if err := p.Close(); err != nil {
						t.Fatal(err)
					}
					return
				}
				if err := p.Commit(ctx); err != nil {
					t.Fatal(err)
				}
				stored[n] = true
				delete(begun, n)
			},
			"restart": func(t *rapid.T) {
				if d, err = OpenDir(path, DirOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				for n, size := range []int{0, 100, 70_000, 300_000} {
					content, id := blob(uint64(n), size)
					f, err := d.Open(id)
					if d.Has(id) != stored[n] || (err == nil) != stored[n] || err != nil && !errors.Is(err, ErrNotFound) {
						t.Fatalf("object %d: Has = %v, Open: %v, stored: %v", n, d.Has(id), err, stored[n])
					}
					if err != nil {
						continue
					}
					got, err := io.ReadAll(f)
					if err = errors.Join(err, f.Close()); err != nil || !bytes.Equal(got, content) {
						t.Fatalf("object %d: %d bytes, %v", n, len(got), err)
					}
				}
			},
		})
	})
}
