package objects

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/p2p/streams"
)

// BenchmarkFetch moves a model in chunks over TCP on loopback, onto the disk of the receiver.
func BenchmarkFetch(b *testing.B) {
	for _, bench := range []struct {
		name         string
		size, number int
	}{
		{"200x200B", 200, 200},
		{"20x5MiB", 5 << 20, 20},
		{"1x100MiB", 100 << 20, 1},
	} {
		b.Run(bench.name, func(b *testing.B) {
			sizes := make([]int, bench.number)
			for i := range sizes {
				sizes[i] = bench.size
			}
			from := serve(b, newDir(b), anybody, ServerOptions{})
			_, ids := fillStore(b, from.store, sizes...)
			to := newDir(b)
			f := NewFetcher(newHost(b), to, FetchOptions{})
			b.SetBytes(int64(bench.size * bench.number))
			for b.Loop() {
				if err := f.Fetch(b.Context(), testRun, ids, from.provider()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				for _, id := range ids {
					if err := to.Remove(id); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkServe is the sender alone: from the disk to a stream that takes everything.
func BenchmarkServe(b *testing.B) {
	for _, size := range []int{200, 5 << 20} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			dir := newDir(b)
			_, ids := fillStore(b, dir, size)
			s := serverFor(dir, ServerOptions{})
			out := streams.Moving{Stream: &sink{}, Reads: idleLimit, Writes: idleLimit}
			buf := make([]byte, copyBlock)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				sending := sending{Server: s.Server, ctx: context.Background(), out: out, left: maxChunk, buf: buf}
				if err := sending.answer(want{id: ids[0]}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// sink is a stream that takes everything.
type sink struct{ pipeStream }

func (*sink) Write(p []byte) (int, error) { return len(p), nil }

func (*sink) SetWriteDeadline(time.Time) error { return nil }
