package messages_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

var clientApp = []string{task.TypeClientApp}

// scripted is a policy whose decisions are those of the test.
type scripted struct {
	says  policy.Decision
	err   error
	asked []policy.App
}

func (p *scripted) Fingerprint() string { return "scripted" }

func (p *scripted) Decide(_ context.Context, app policy.App) (policy.Decision, error) {
	p.asked = append(p.asked, app)
	return p.says, p.err
}

// takeIn offers a message and waits for the verdict.
func (f *fixture) takeIn(m nodetest.Message) error {
	f.t.Helper()
	f.TakeIn(m.Offer, nodetest.NodeID)
	r := <-f.results
	if r.id != m.ID {
		f.t.Fatalf("result of %s, want %s", r.id, m.ID)
	}
	return r.err
}

// lease leases what may be leased at once.
func (f *fixture) lease() (task.Task, bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	tk, _, ok, err := f.Lease(ctx, clientApp)
	if err != nil {
		f.t.Fatal(err)
	}
	return tk, ok
}

// wantRefused checks that a message was answered with the code of an invalid bundle.
func (f *fixture) wantRefused(m nodetest.Message) {
	f.t.Helper()
	replies, _, err := f.store.UnconfirmedReplies(context.Background(), 0, 10)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range replies {
		var msg flwrpb.Message
		if err := proto.Unmarshal(r.Message, &msg); err != nil {
			f.t.Fatal(err)
		}
		if r.MessageID == m.ID {
			if e := msg.GetError(); e.GetCode() != flwr.ErrorInvalidFAB || e.GetReason() != policy.Reason {
				f.t.Errorf("message %s was answered with %v", m.ID, e)
			}
			return
		}
	}
	f.t.Errorf("message %s was not refused", m.ID)
}

func TestDecidedOnce(t *testing.T) {
	p := &scripted{says: policy.Decision{Allowed: true, Rule: "r"}}
	f, run := newFixture(t, p), nodetest.NewRun(t, 7)
	run.Verifications = map[string]string{"k": "v"}
	first, second := run.Instruction(t, 1, "model"), run.Instruction(t, 2, "model")
	f.serve(run)
	for _, m := range []nodetest.Message{first, second} {
		if err := f.takeIn(m); err != nil {
			t.Fatal(err)
		}
		p.says.Allowed = false // it is not asked again
	}
	tk, ok := f.lease()
	if !ok {
		t.Fatal("an app that was allowed is not leased")
	}
	if _, bundle, err := f.App(t.Context(), tk); err != nil || !bytes.Equal(bundle, run.Objects[run.FABHash]) {
		t.Errorf("bundle of %d bytes, %v", len(bundle), err)
	}
	if len(p.asked) != 1 {
		t.Fatalf("asked %d times", len(p.asked))
	}
	if a := p.asked[0]; a.RunID != 7 || a.Hash != run.FABHash || a.Size != int64(len(run.Objects[run.FABHash])) || !maps.Equal(a.Verifications, run.Verifications) {
		t.Errorf("asked about %+v", a)
	}
}

func TestWhatCannotBeDecidedIsRefused(t *testing.T) {
	p := &scripted{says: policy.Decision{Allowed: true}, err: errors.New("no idea")}
	f, run := newFixture(t, p), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.serve(run)
	if err := f.takeIn(m); err != nil {
		t.Fatal(err)
	}
	f.wantRefused(m)
	if tk, ok := f.lease(); ok {
		t.Errorf("leased %+v", tk)
	}
}

// A run is what its first message says. What contradicts it is declined for good, and changes nothing.
func TestRunNeverChanges(t *testing.T) {
	lr := func(v float64) map[string]*flwrpb.Scalar {
		return map[string]*flwrpb.Scalar{"lr": {Scalar: &flwrpb.Scalar_Double{Double: v}}}
	}
	f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
	run.Override = lr(0.5)
	first := run.Instruction(t, 1, "model")
	other := nodetest.NewRunOf(t, 7, run.SeriesID, "# another bundle\n")
	other.Override = run.Override
	f.serve(run)
	f.serve(other)
	if err := f.takeIn(first); err != nil {
		t.Fatal(err)
	}
	before, err := f.store.Run(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*flwrpb.Run){
		"bundle":        func(r *flwrpb.Run) { r.FabHash = other.FABHash },
		"series":        func(r *flwrpb.Run) { r.SeriesId++ },
		"app":           func(r *flwrpb.Run) { r.FabId = "them/other" },
		"version":       func(r *flwrpb.Run) { r.FabVersion = "6.6.6" },
		"configuration": func(r *flwrpb.Run) { r.OverrideConfig = lr(6.6) },
		"more settings": func(r *flwrpb.Run) { r.OverrideConfig["x"] = &flwrpb.Scalar{} },
	} {
		// A new message, and the one that is here already.
		for _, m := range []nodetest.Message{run.Instruction(t, 2, name), first} {
			f.serve(run)
			offer := proto.CloneOf(m.Offer)
			offer.FabVerifications = map[string]string{"k": "v"}
			var said flwrpb.Run
			if err := proto.Unmarshal(offer.GetRun(), &said); err != nil {
				t.Fatal(err)
			}
			change(&said)
			if offer.Run, err = proto.Marshal(&said); err != nil {
				t.Fatal(err)
			}
			m.Offer = offer
			if err := f.takeIn(m); !errors.Is(err, messages.ErrBadOffer) || !errors.Is(err, state.ErrOtherRun) {
				t.Errorf("another %s: %v", name, err)
			}
		}
	}
	after, err := f.store.Run(t.Context(), 7)
	if err != nil || after.FABHash != before.FABHash || after.SeriesID != before.SeriesID || !bytes.Equal(after.Proto, before.Proto) ||
		len(after.Verifications) > 0 || after.Config["lr"].GetDouble() != 0.5 {
		t.Errorf("the run was %+v and is %+v, %v", before, after, err)
	}

	// What changes while a run goes on contradicts nothing.
	m := run.Instruction(t, 3, "model")
	f.serve(run)
	var said flwrpb.Run
	if err := proto.Unmarshal(m.Offer.GetRun(), &said); err != nil {
		t.Fatal(err)
	}
	said.Status, said.BytesSent = &flwrpb.RunStatus{Status: "running"}, 5
	if m.Offer.Run, err = proto.Marshal(&said); err != nil {
		t.Fatal(err)
	}
	if err := f.takeIn(m); err != nil {
		t.Errorf("the same run, further on: %v", err)
	}
}

// An announcement is a hint: it decides nothing, and the first message says what the run is.
func TestPrefetchDecidesNothing(t *testing.T) {
	signer := nodetest.NewSigner(t, "fpk_1")
	f := newFixture(t, policy.Entities{signer.ID: signer.Public})
	signed, unsigned := nodetest.NewRun(t, 7), nodetest.NewRunOf(t, 7, 1007, "# not signed\n")
	signed.Verifications = signer.Sign(t, signed.FABHash)
	good, evil := signed.Instruction(t, 1, "model"), unsigned.Instruction(t, 2, "model")
	f.serve(signed)
	f.serve(unsigned)
	prefetch := func() {
		fetched := make(chan struct{}, 1)
		f.before = func(context.Context, messages.Want) error { fetched <- struct{}{}; return nil }
		f.Prefetch(7, unsigned.SeriesID, unsigned.FABHash)
		select {
		case <-fetched:
		case <-time.After(100 * time.Millisecond):
		}
		f.before = nil
	}
	prefetch()
	if err := f.takeIn(good); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.objects.Has(unsigned.FABHash) {
		t.Error("the bundle that was announced and is not that of the run stays")
	}
	prefetch()
	if f.objects.Has(unsigned.FABHash) {
		t.Error("another bundle was fetched for a run that is known")
	}
	if err := f.takeIn(evil); !errors.Is(err, state.ErrOtherRun) {
		t.Errorf("offer of the announced bundle: %v", err)
	}
	tk, ok := f.lease()
	if !ok || tk.FABHash != signed.FABHash || tk.MessageID != good.ID {
		t.Errorf("leased %+v, %v", tk, ok)
	}
}

// The bundle that is handed out has the bytes that were decided about.
func TestDamagedBundleIsNotHandedOut(t *testing.T) {
	f, run := newFixture(t, everyApp), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.serve(run)
	if err := f.takeIn(m); err != nil {
		t.Fatal(err)
	}
	tk, ok := f.lease()
	if !ok {
		t.Fatal("nothing to lease")
	}
	f.objects.Damage(run.FABHash, []byte("other bytes"))
	if _, _, err := f.App(t.Context(), tk); !errors.Is(err, objects.ErrCorrupt) {
		t.Errorf("a bundle with other bytes: %v", err)
	}
}

// hostile offers whatever it likes to a node whose site changes its mind.
type hostile struct {
	*fixture
	rt       *rapid.T
	path     string
	signers  []nodetest.Signer
	policies []policy.Entities
	now      int // index of the policy
	bundles  []string

	mu       sync.Mutex
	withheld bool // what the next offer needs is not given out
}

func (h *hostile) fetch(_ context.Context, w messages.Want) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.Offered && h.withheld {
		return objects.ErrRefused
	}
	nodetest.Put(h.t, h.objects, h.blobs, w.IDs...)
	return nil
}

// allowed is what the site wants: bundle i is signed by signer i alone, and the last one by nobody.
func (h *hostile) allowed(fabHash string) bool {
	trusted := h.policies[h.now]
	if len(trusted) == 0 {
		return true
	}
	for i, s := range h.signers {
		if h.bundles[i] == fabHash && s.Public.Equal(trusted[s.ID]) {
			return true
		}
	}
	return false
}

func (h *hostile) start() {
	s, err := state.Open(context.Background(), h.path, h.objects)
	if err != nil {
		h.rt.Fatal(err)
	}
	h.store = s
	h.Office = messages.New(messages.Config{
		Store: s, Objects: h.objects, Link: h.results, Fetch: h.fetch, Policy: h.policies[h.now], Slots: 100,
	})
}

func (h *hostile) stop() {
	h.Close()
	if err := h.store.Close(); err != nil {
		h.rt.Fatal(err)
	}
}

func (h *hostile) offer(rt *rapid.T) {
	id := rapid.Uint64Range(1, 2).Draw(rt, "run")
	which := rapid.IntRange(0, len(h.bundles)-1).Draw(rt, "bundle")
	run := nodetest.NewRunOf(h.t, id, 100+id, extra[which])
	run.Verifications = map[string]string{}
	for i, s := range h.signers {
		if rapid.Bool().Draw(rt, "signature") {
			maps.Copy(run.Verifications, s.Sign(h.t, h.bundles[i]))
		}
	}
	m := run.Instruction(h.t, rapid.IntRange(1, 4).Draw(rt, "message"), "model")
	h.mu.Lock()
	h.serve(run)
	h.withheld = rapid.Bool().Draw(rt, "withheld")
	h.mu.Unlock()
	_ = h.takeIn(m)
}

func (h *hostile) announce(rt *rapid.T) {
	id := rapid.Uint64Range(1, 2).Draw(rt, "run")
	h.Prefetch(id, 100+id, rapid.SampledFrom(h.bundles).Draw(rt, "bundle"))
}

func (h *hostile) leaseOne(*rapid.T) {
	if inv, err := h.store.Inventory(context.Background()); err != nil || len(inv.Accepted) == 0 {
		return // it would wait
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	tk, _, ok, err := h.Lease(ctx, clientApp)
	if err != nil {
		h.rt.Fatal(err)
	}
	if !ok {
		return
	}
	if !h.allowed(tk.FABHash) {
		h.rt.Fatalf("leased %+v although the site does not allow it", tk)
	}
	run, _, err := h.App(context.Background(), tk)
	if err != nil || run.FABHash != tk.FABHash {
		h.rt.Fatalf("an allowed task has no input: %+v, %v", run, err)
	}
}

func (h *hostile) restart(rt *rapid.T) {
	h.stop()
	h.now = rapid.IntRange(0, len(h.policies)-1).Draw(rt, "policy")
	h.start()
}

func (h *hostile) drop(rt *rapid.T) {
	if _, err := h.DropRun(context.Background(), rapid.Uint64Range(1, 2).Draw(rt, "run")); err != nil {
		rt.Fatal(err)
	}
}

var extra = []string{"# a\n", "# b\n", "# c\n"}

// No sequence of offers, announcements, restarts and changes of policy leases a task of an app that the
// policy of that time does not allow.
func TestNothingRunsThatIsNotAllowed(t *testing.T) {
	a, b := nodetest.NewSigner(t, "fpk_1"), nodetest.NewSigner(t, "fpk_2")
	var bundles []string
	for _, text := range extra {
		bundles = append(bundles, nodetest.NewRunOf(t, 1, 1, text).FABHash)
	}
	rapid.Check(t, func(rt *rapid.T) {
		h := &hostile{
			fixture: &fixture{t: t, objects: nodetest.NewMemory(), blobs: nodetest.Blobs{}, results: make(results, 1000)},
			rt:      rt, path: filepath.Join(t.TempDir(), "node.db"), signers: []nodetest.Signer{a, b}, bundles: bundles,
			policies: []policy.Entities{nil, {a.ID: a.Public}, {b.ID: b.Public}, {a.ID: a.Public, b.ID: b.Public}},
		}
		for _, text := range extra {
			h.serve(nodetest.NewRunOf(t, 1, 1, text))
		}
		h.start()
		steps := []func(*rapid.T){h.offer, h.offer, h.offer, h.leaseOne, h.leaseOne, h.announce, h.restart, h.drop}
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			rapid.SampledFrom(steps).Draw(rt, "step")(rt)
		}
		h.leaseOne(rt)
		h.stop()
	})
}
