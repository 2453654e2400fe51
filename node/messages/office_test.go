package messages_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// everyApp may run on a node without trusted entities.
var everyApp policy.Entities

type result struct {
	id  string
	err error
}

// results is a link that is told what became of offers.
type results chan result

func (r results) Accept(id string)                     { r <- result{id, nil} }
func (r results) Decline(id string, why error, _ bool) { r <- result{id, why} }

// fixture is an office whose fetches are answered by the test.
type fixture struct {
	t       testing.TB
	store   *state.Store
	objects *nodetest.Memory
	blobs   nodetest.Blobs
	// before is called at the beginning of each fetch.
	before  func(ctx context.Context, w messages.Want) error
	results results
	*messages.Office
}

func newFixture(t testing.TB, p policy.Policy) *fixture {
	t.Helper()
	f := &fixture{t: t, objects: nodetest.NewMemory(), blobs: nodetest.Blobs{}, results: make(results, 1000)}
	s, err := state.Open(context.Background(), filepath.Join(t.TempDir(), "node.db"), f.objects)
	if err != nil {
		t.Fatal(err)
	}
	f.store = s
	f.Office = messages.New(messages.Config{
		Store: s, Objects: f.objects, Link: f.results, Fetch: f.fetch, Policy: p, Slots: 1,
	})
	t.Cleanup(func() {
		f.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fixture) fetch(ctx context.Context, w messages.Want) error {
	if f.before != nil {
		if err := f.before(ctx, w); err != nil {
			return err
		}
	}
	nodetest.Put(f.t, f.objects, f.blobs, w.IDs...)
	return nil
}

// serve makes what belongs to the run available.
func (f *fixture) serve(r *nodetest.Run) {
	maps.Copy(f.blobs, r.Objects)
}

func (f *fixture) state(m nodetest.Message) state.State {
	f.t.Helper()
	stored, err := f.store.Instruction(context.Background(), m.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	return stored.State
}

func TestAccept(t *testing.T) {
	f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
	run.Override = map[string]*flwrpb.Scalar{"lr": {Scalar: &flwrpb.Scalar_Double{Double: 0.5}}}
	m := run.Instruction(t, 1, "model")
	f.serve(run)
	f.TakeIn(m.Offer, nodetest.NodeID)
	if r := <-f.results; r.id != m.ID || r.err != nil {
		t.Fatalf("result = %+v", r)
	}
	if s := f.state(m); s != state.Waiting {
		t.Errorf("state = %s", s)
	}
	if missing := f.store.Missing(append(m.Objects, run.FABHash)); len(missing) > 0 {
		t.Errorf("accepted without objects %v", missing)
	}
	known, err := f.store.Run(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if known.Config["lr"].GetDouble() != 0.5 || known.Config["run"].GetSint64() != 7 {
		t.Errorf("fused configuration = %v", known.Config)
	}

	// When it is offered again, it is accepted again and nothing is fetched.
	f.before = func(context.Context, messages.Want) error { return errors.New("fetched twice") }
	f.TakeIn(m.Offer, nodetest.NodeID)
	if r := <-f.results; r.err != nil {
		t.Errorf("second offer: %v", r.err)
	}
}

func TestOnlyWhatIsMissingIsFetched(t *testing.T) {
	f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
	first, second := run.Instruction(t, 1, "model"), run.Instruction(t, 2, "model")
	f.serve(run)
	var wanted []string
	f.before = func(_ context.Context, w messages.Want) error { wanted = w.IDs; return nil }
	f.TakeIn(first.Offer, nodetest.NodeID)
	<-f.results
	f.TakeIn(second.Offer, nodetest.NodeID)
	<-f.results
	if !slices.Equal(wanted, []string{second.ID}) {
		t.Errorf("fetched %v for a message that shares its model, want only %s", wanted, second.ID)
	}
}

func TestRejected(t *testing.T) {
	untrusted := policy.Entities{"fpk_1": make([]byte, 32)}
	for name, tc := range map[string]struct {
		trusted policy.Entities
		run     *nodetest.Run
	}{
		"not trusted":    {untrusted, nodetest.NewRun(t, 7)},
		"not TOML":       {nil, nodetest.NewRunOf(t, 7, 8, "][")},
		"list in config": {nil, nodetest.NewRunOf(t, 7, 8, "[tool.flwr.app.config]\nx=[1]\n")},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, tc.trusted)
			m := tc.run.Instruction(t, 1, "model")
			f.serve(tc.run)
			f.TakeIn(m.Offer, nodetest.NodeID)
			if r := <-f.results; r.err != nil {
				t.Fatalf("a rejected message is accepted, and answered: %v", r.err)
			}
			replies, _, err := f.store.UnconfirmedReplies(t.Context(), 0, 10)
			if err != nil || len(replies) != 1 {
				t.Fatalf("replies = %v, %v", replies, err)
			}
			var msg flwrpb.Message
			if err := proto.Unmarshal(replies[0].Message, &msg); err != nil {
				t.Fatal(err)
			}
			if msg.GetError().GetCode() != 7 {
				t.Errorf("error = %v", msg.GetError())
			}
		})
	}
}

func TestBadOffers(t *testing.T) {
	f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
	good := run.Instruction(t, 1, "model").Offer
	other := nodetest.NewRun(t, 8).Instruction(t, 2, "model").Offer
	for name, change := range map[string]func(*sessionpb.Offer){
		"no message":      func(o *sessionpb.Offer) { o.Message = nil },
		"message garbage": func(o *sessionpb.Offer) { o.Message = []byte{0xff} },
		"tree garbage":    func(o *sessionpb.Offer) { o.Tree = []byte{0xff} },
		"other tree":      func(o *sessionpb.Offer) { o.Tree = other.GetTree() },
		"no tree":         func(o *sessionpb.Offer) { o.Tree = nil },
		"no run":          func(o *sessionpb.Offer) { o.Run = nil },
		"other run":       func(o *sessionpb.Offer) { o.Run = other.GetRun() },
		"other node": func(o *sessionpb.Offer) {
			var msg flwrpb.Message
			if err := proto.Unmarshal(o.GetMessage(), &msg); err != nil {
				t.Fatal(err)
			}
			msg.Metadata.DstNodeId++
			o.Message, _ = proto.Marshal(&msg)
		},
		"too many objects": func(o *sessionpb.Offer) { o.Tree = bytes.Repeat([]byte{0x12, 0}, 15<<20) },
		"no bundle": func(o *sessionpb.Offer) {
			o.Run, _ = proto.Marshal(&flwrpb.Run{RunId: 7, SeriesId: 9, FabHash: "../../etc/passwd"})
		},
	} {
		o := proto.CloneOf(good)
		change(o)
		f.TakeIn(o, nodetest.NodeID)
		if r := <-f.results; !errors.Is(r.err, messages.ErrBadOffer) {
			t.Errorf("%s: %v", name, r.err)
		}
	}
	inv, err := f.store.Inventory(t.Context())
	if err != nil || len(inv.RunIDs) > 0 {
		t.Errorf("bad offers left something: %+v, %v", inv, err)
	}
}

func TestFetchIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
		m := run.Instruction(t, 1, "model")
		f.serve(run)
		tries := 0
		f.before = func(context.Context, messages.Want) error {
			if tries++; tries < 3 {
				return errors.New("line is down")
			}
			return nil
		}
		f.TakeIn(m.Offer, nodetest.NodeID)
		if r := <-f.results; r.err != nil {
			t.Errorf("after %d tries: %v", tries, r.err)
		}
	})
}

func TestGivesUpAndTakesItLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
		m := run.Instruction(t, 1, "model")
		f.serve(run)
		down := errors.New("line is down")
		f.before = func(context.Context, messages.Want) error { return down }
		began := time.Now()
		f.TakeIn(m.Offer, nodetest.NodeID)
		if r := <-f.results; !errors.Is(r.err, down) {
			t.Errorf("result = %v", r.err)
		}
		if waited := time.Since(began); waited > time.Minute {
			t.Errorf("declined after %s", waited)
		}
		f.before = nil
		f.TakeIn(m.Offer, nodetest.NodeID)
		if r := <-f.results; r.err != nil {
			t.Errorf("second offer: %v", r.err)
		}
	})
}

func TestDropRun(t *testing.T) {
	f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.serve(run)
	fetching := make(chan struct{})
	f.before = func(ctx context.Context, _ messages.Want) error {
		close(fetching)
		<-ctx.Done()
		return ctx.Err()
	}
	f.TakeIn(m.Offer, nodetest.NodeID)
	<-fetching
	if _, err := f.DropRun(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if r := <-f.results; r.err == nil {
		t.Error("accepted although cancelled")
	}
	inv, err := f.store.Inventory(t.Context())
	if err != nil || len(inv.RunIDs)+len(inv.Accepted) > 0 {
		t.Errorf("the cancelled run has left %+v, %v", inv, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
	var fetching, most atomic.Int32
	f.before = func(context.Context, messages.Want) error {
		n := fetching.Add(1)
		defer fetching.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		return nil
	}
	const n = 300
	var offers []*sessionpb.Offer
	for i := range n {
		offers = append(offers, run.Instruction(t, i, fmt.Sprint("model ", i%3)).Offer)
	}
	f.serve(run)
	for _, o := range offers {
		f.TakeIn(o, nodetest.NodeID)
	}
	accepted, busy := 0, 0
	for range n {
		switch r := <-f.results; {
		case r.err == nil:
			accepted++
		case errors.Is(r.err, messages.ErrBusy):
			busy++
		default:
			t.Fatal(r.err)
		}
	}
	inv, err := f.store.Inventory(t.Context())
	if err != nil || len(inv.Accepted) != accepted {
		t.Errorf("%d accepted, %d on disk, %v", accepted, len(inv.Accepted), err)
	}
	if accepted < 256 || accepted+busy != n {
		t.Errorf("accepted %d, busy %d of %d", accepted, busy, n)
	}
	if most.Load() > 4 {
		t.Errorf("%d messages were fetched at a time", most.Load())
	}
}

func TestPrefetch(t *testing.T) {
	f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
	f.serve(run)
	arrived := make(chan struct{})
	f.before = func(_ context.Context, w messages.Want) error {
		defer close(arrived)
		if !slices.Equal(w.IDs, []string{run.FABHash}) {
			t.Errorf("prefetched %v", w.IDs)
		}
		return nil
	}
	f.Prefetch(run.ID, run.SeriesID, run.FABHash)
	<-arrived
	f.before = nil
	f.Close() // waits for its end
	if known, err := f.store.Run(t.Context(), run.ID); err != nil || known.FABHash != run.FABHash {
		t.Errorf("run = %+v, %v", known, err)
	}
	if err := f.store.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !f.objects.Has(run.FABHash) {
		t.Error("the prefetched bundle was removed")
	}
}
