package sqldb

import (
	"database/sql"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// BenchmarkWrite shows the benefit of sharing a commit: ns/op falls with the number of writers.
func BenchmarkWrite(b *testing.B) {
	for _, bench := range []struct {
		name    string
		writers int
	}{{"alone", 1}, {"with-500", 500}} {
		b.Run(bench.name, func(b *testing.B) {
			db := open(b, filepath.Join(b.TempDir(), "x.db"), schema(kvTable), Options{})
			var next atomic.Int64
			b.SetParallelism(bench.writers)
			b.ResetTimer()
			if bench.writers == 1 {
				for b.Loop() {
					must(b, db.Write(b.Context(), put(int(next.Add(1)), 1)))
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					must(b, db.Write(b.Context(), put(int(next.Add(1)), 1)))
				}
			})
		})
	}
}

func BenchmarkRead(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "x.db"), schema(kvTable), Options{})
	must(b, db.Write(b.Context(), put(1, 1)))
	for b.Loop() {
		must(b, db.Read(b.Context(), func(tx *sql.Tx) error {
			var v int
			return tx.QueryRow(`SELECT v FROM kv WHERE k = ?`, 1).Scan(&v)
		}))
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
