package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// BenchmarkRound is one round of a run with N nodes, as a link does it: one insert, then for all
// nodes at the same time lease, deliver, reply; the ServerApp looks at each reply and confirms all
// of them at the end.
func BenchmarkRound(b *testing.B) {
	for _, nodes := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			f := newFederation(b, nodes)
			for b.Loop() {
				ids := f.insert(b)
				var wg sync.WaitGroup
				for i, id := range ids {
					wg.Go(func() { f.serve(b, f.nodes[i], id, ids) })
				}
				wg.Wait()
				f.collect(b, ids)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*nodes), "µs/message")
		})
	}
}

// BenchmarkAnswered is the question that is asked on each wake, with 10,000 ids.
func BenchmarkAnswered(b *testing.B) {
	f := newFederation(b, 10_000)
	ids := f.insert(b)
	for b.Loop() {
		answered, err := f.store.Answered(b.Context(), f.run, ids)
		if err != nil || len(answered) != 0 {
			b.Fatal(len(answered), err)
		}
	}
}

// BenchmarkAnswers reads 1,000 replies at once.
func BenchmarkAnswers(b *testing.B) {
	f := newFederation(b, 1000)
	ids := f.insert(b)
	for i, id := range ids {
		must(b, f.store.InsertReply(b.Context(), f.reply(id, f.nodes[i]), 0))
	}
	for b.Loop() {
		answers, err := f.store.Answers(b.Context(), f.run, ids)
		if err != nil || answers[999].Kind != state.Replied {
			b.Fatal(err)
		}
	}
}

// BenchmarkHeartbeats is the idle cost of stock nodes that send heartbeats at the same time.
func BenchmarkHeartbeats(b *testing.B) {
	f := newFederation(b, 1000)
	for b.Loop() {
		var wg sync.WaitGroup
		for _, id := range f.nodes {
			wg.Go(func() {
				_, err := f.store.TouchNode(b.Context(), id, 30*time.Second, time.Now().Add(time.Minute))
				must(b, err)
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(f.nodes)), "µs/heartbeat")
}

// federation is a store with a run and nodes that are online.
type federation struct {
	store *Store
	run   uint64
	nodes []uint64
	round int
}

func newFederation(b *testing.B, nodes int) *federation {
	b.Helper()
	store, err := Open(b.Context(), filepath.Join(b.TempDir(), "state.db"), Options{})
	must(b, err)
	b.Cleanup(func() { must(b, store.Close()) })
	run, err := store.CreateRun(b.Context(), state.NewRun{TaskType: task.TypeServerApp})
	must(b, err)
	f := &federation{store: store, run: run.ID, nodes: make([]uint64, nodes)}
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			n, err := store.RegisterNode(b.Context(), state.Node{PeerID: fmt.Sprint("peer ", i)})
			must(b, err)
			must(b, store.ActivateNode(b.Context(), n.ID, time.Second, time.Now().Add(time.Hour), false))
			f.nodes[i] = n.ID
		})
	}
	wg.Wait()
	return f
}

func (f *federation) message(id string, node uint64) state.Message {
	return state.Message{ID: id, RunID: f.run, NodeID: node, State: state.Waiting, Proto: make([]byte, 200), Tree: make([]byte, 2000),
		CreatedAt: float64(time.Now().Unix()), TTL: 43_200}
}

func (f *federation) reply(to string, node uint64) state.Message {
	m := f.message("r"+to[1:], node)
	m.ReplyTo = to
	return m
}

func (f *federation) insert(b *testing.B) []string {
	f.round++
	msgs, ids := make([]state.Message, len(f.nodes)), make([]string, len(f.nodes))
	for i, node := range f.nodes {
		ids[i] = fmt.Sprintf("i%063d", f.round*100_000+i)
		msgs[i] = f.message(ids[i], node)
	}
	refused, err := f.store.InsertInstructions(b.Context(), msgs)
	must(b, errors.Join(err, errors.Join(refused...)))
	return ids
}

func (f *federation) serve(b *testing.B, node uint64, id string, all []string) {
	msgs, err := f.store.LeaseInstructions(b.Context(), node, 10, time.Time{})
	must(b, err)
	if len(msgs) != 1 || msgs[0].ID != id {
		b.Errorf("leased %d messages", len(msgs))
		return
	}
	must(b, f.store.MarkDelivered(b.Context(), node, []string{id}))
	must(b, f.store.InsertReply(b.Context(), f.reply(id, node), time.Second))
	_, err = f.store.Answered(b.Context(), f.run, all)
	must(b, err)
}

func (f *federation) collect(b *testing.B, ids []string) {
	answers, err := f.store.Answers(b.Context(), f.run, ids)
	must(b, err)
	var wg sync.WaitGroup
	for _, a := range answers {
		if a.Kind != state.Replied {
			b.Fatalf("%s is of kind %v", a.InstructionID, a.Kind)
		}
		wg.Go(func() { must(b, f.store.ConfirmReply(b.Context(), f.run, a.Reply.ID)) })
	}
	wg.Wait()
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Error(err)
	}
}
