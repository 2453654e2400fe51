package sessions

import (
	"sync"
	"testing"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// BenchmarkFanOut hands one instruction to each of many sessions until all have accepted:
// insert, lease, offer, mark delivered.
func BenchmarkFanOut(b *testing.B) {
	const sessions = 32
	h := newHub(b, nil)
	run := h.run()
	nodes := make([]*scripted, sessions)
	for i := range nodes {
		nodes[i] = newNode(b, h)
		nodes[i].join(&sessionpb.Hello{Name: "bench"})
	}
	for b.Loop() {
		b.StopTimer() // storing the instructions' objects is not measured
		ids := make([]string, sessions)
		for i, n := range nodes {
			ids[i] = h.insert(run.ID, n.id, state.Gathering)
		}
		b.StartTimer()
		must(b, h.store.MarkComplete(b.Context(), ids))
		var all sync.WaitGroup
		for _, n := range nodes {
			all.Go(func() { n.accept(n.offered()) })
		}
		all.Wait()
		for _, id := range ids {
			h.awaitState(id, state.Delivered)
		}
	}
}
