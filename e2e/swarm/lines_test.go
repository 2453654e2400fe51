//go:build linux && long

package swarm

import (
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// lines are lines between two sites, with the size of the model to send over them. The delay is
// that of one site: a round trip includes it four times.
var lines = []struct {
	name string
	line natlab.Link
	size int // of the model, in bytes
	quic int // the same over QUIC alone, which is slow where frames are lost
}{
	{"100 ms, 1 Gbit per s", natlab.Link{Delay: 25 * time.Millisecond, Rate: 1_000_000_000, Queue: 8 << 20, GSO: true}, 200_000_000, 200_000_000},
	{"50 ms, 100 Mbit per s, 1 % loss", natlab.Link{Delay: 12500 * time.Microsecond, Rate: 100_000_000, Loss: 0.005}, 64_000_000, 8_000_000},
}

// settled is how long a transfer takes to get past its start.
const settled = 2 * time.Second

// TestOneTransferFillsTheLine only measures; its results are in docs/performance.md.
func TestOneTransferFillsTheLine(t *testing.T) {
	const tcp, quic = "/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1"
	for _, line := range lines {
		for _, over := range []struct {
			name string
			size int
			on   []string
		}{
			{"by default", line.size, []string{"--listen", tcp, "--listen", quic}},
			{"TCP", line.size, []string{"--listen", tcp}},
			{"QUIC", line.quic, []string{"--listen", quic}},
		} {
			t.Run(line.name+", "+over.name, func(t *testing.T) {
				f := found(t, line.line, line.line, 1, natlab.Public, over.on...)
				node := f.join(0)
				a, m := f.begin(), newModel(over.size)
				before := f.fromLink()
				pushed := a.push(m, node)
				var early int64 // bytes by the time it had settled
				f.await("the model is there", func() bool {
					if early == 0 && time.Since(pushed) > settled {
						early = f.fromLink()
					}
					return node.status().queued() == 1
				})
				took, all := time.Since(pushed), f.fromLink()
				rate := func(bytes int64, in time.Duration) float64 { return float64(bytes) / 1e6 / in.Seconds() }
				t.Logf("%d MB in %.2f s: %.1f MB/s, and %.1f MB/s after the first %v (%s)", over.size/1_000_000, took.Seconds(),
					rate(all-before, took), rate(all-early, took-settled), settled, node.status().Link.Path.Transport)
			})
		}
	}
}
