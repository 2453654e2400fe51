package stock

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// outcome is that of a pull that was held.
type outcome struct {
	status int
	ids    []string
	err    error
}

// start pulls in the background.
func (n *superNode) start(ctx context.Context) <-chan outcome {
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		var body []byte
		o.status, body, o.err = n.call(ctx, flwr.PathFleetPullMessages, &flwrpb.PullMessagesRequest{Node: n.node()})
		res := &flwrpb.PullMessagesResponse{}
		if o.err == nil && o.status == http.StatusOK {
			o.err = proto.Unmarshal(body, res)
		}
		for _, m := range res.GetMessagesList() {
			o.ids = append(o.ids, m.GetMetadata().GetMessageId())
		}
		ended <- o
	}()
	return ended
}

// awaitBell waits until a condition holds, looking again each time the bell rings, and often enough
// for conditions that have no bell.
func awaitBell(t testing.TB, h *hub, key wake.Key, holds func() bool) {
	t.Helper()
	watch := h.store.Bell().Watch(key)
	defer watch.Close()
	deadline := time.After(testPatience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-watch.C:
		case <-look.C:
		case <-deadline:
			t.Fatal("the condition did not come about within ", testPatience)
		}
	}
}

func receive(t testing.TB, from <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-from:
		must(t, o.err)
		return o
	case <-time.After(testPatience):
		t.Fatal("the pull was not answered")
		return outcome{}
	}
}

func TestAPullIsHeldUntilThereIsAMessage(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run := h.run(true)
	pulled := n.start(t.Context())
	m := h.instruct(run.ID, n.id)
	if got := receive(t, pulled); len(got.ids) != 1 || got.ids[0] != m.ID() {
		t.Errorf("pulled %v, want %s", got.ids, m.ID())
	}
}

// A second pull of a node replaces the first, whose client has left.
func TestAPullEndsTheOneBefore(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run := h.run(true)
	var pulls [3]<-chan outcome
	for i := range pulls {
		pulls[i] = n.start(t.Context())
	}
	// Whichever came first, two of them are answered empty, and one is held.
	var empty int
	var held outcome
	deadline := time.After(testPatience)
	for range 3 {
		var o outcome
		select {
		case o = <-pulls[0]:
		case o = <-pulls[1]:
		case o = <-pulls[2]:
		case <-deadline:
			t.Fatal("a pull was not answered")
		}
		must(t, o.err)
		if o.status != http.StatusOK {
			t.Fatalf("status %d", o.status)
		}
		if len(o.ids) == 0 {
			if empty++; empty == 2 {
				h.instruct(run.ID, n.id)
			}
			continue
		}
		held = o
	}
	if empty != 2 || len(held.ids) != 1 {
		t.Errorf("%d were answered empty, one with %v", empty, held.ids)
	}
}

func TestALeaseEndsAtConfirm(t *testing.T) {
	h := newHub(t, false)
	n, stranger := newSuperNode(t, h).join(), newSuperNode(t, h).join()
	run := h.run(true)
	first, second := h.instruct(run.ID, n.id), h.instruct(run.ID, n.id)
	for range 3 {
		if got := n.pullID(); got != first.ID() {
			t.Fatalf("pulled %s, want the unconfirmed %s", got, first.ID())
		}
	}
	stranger.confirm(run.ID, first.ID())
	n.confirm(run.ID, second.ID()+"x")
	if got := n.pullID(); got != first.ID() {
		t.Error("somebody else's confirmation ended the lease")
	}
	n.confirm(run.ID, first.ID())
	if got := n.pullID(); got != second.ID() {
		t.Errorf("pulled %s, want the next, %s", got, second.ID())
	}
}

// A node that cannot take a message asks for it forever; its ServerApp must not wait that long.
func TestAMessageThatIsNeverConfirmed(t *testing.T) {
	h := newHub(t, false)
	n := newSuperNode(t, h).join()
	run := h.run(true)
	bad, good := h.instruct(run.ID, n.id), h.instruct(run.ID, n.id)
	for range maxDeliveries {
		if got := n.pullID(); got != bad.ID() {
			t.Fatalf("pulled %s, want %s", got, bad.ID())
		}
	}
	if got := n.pullID(); got != good.ID() {
		t.Errorf("pulled %s, want the next, %s", got, good.ID())
	}
	if got := h.answer(bad).Kind; got != state.InstructionUnknown {
		t.Errorf("the ServerApp was told %v", got)
	}
}

// quiet is a store in which nothing happens.
type quiet struct {
	state.Store
	bell wake.Bell
}

func (q *quiet) Bell() *wake.Bell { return &q.bell }

func (*quiet) LeasedInstructions(context.Context, uint64) ([]state.Message, error) { return nil, nil }

func (*quiet) LeaseInstructions(context.Context, uint64, int, time.Time) ([]state.Message, error) {
	return nil, nil
}

func TestAHoldEndsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &quiet{}
		s := &server{cfg: Config{Store: store, Office: messages.New(store, nil)}, holds: newHolds(), deliveries: newDeliveries()}
		began := time.Now()
		res, err := s.pull(t.Context(), state.Node{ID: 7})
		must(t, err)
		if len(res.GetMessages()) != 0 || time.Since(began) != pullHold {
			t.Errorf("after %s: %v", time.Since(began), res)
		}
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if _, err := s.pull(ctx, state.Node{ID: 7}); err == nil {
			t.Error("a client that left was answered")
		}
		if len(s.holds.byNode) != 0 {
			t.Error("a hold was left behind")
		}
	})
}
