package apps

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"testing"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// transactions counts those that a pull makes for the errors that it answers with.
type transactions struct {
	state.Store
	count atomic.Int32
}

func (s *transactions) RegisterObjects(ctx context.Context, runID uint64, ids []string) error {
	s.count.Add(1)
	return s.Store.RegisterObjects(ctx, runID, ids)
}

func (s *transactions) HoldObjects(ctx context.Context, runID uint64, ids []string) error {
	s.count.Add(1)
	return s.Store.HoldObjects(ctx, runID, ids)
}

func unknownIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = object.Sum([]byte(rand.Text()))
	}
	return ids
}

// An app that asks for thousands of messages that never existed gets as many errors, in two
// transactions, while another run is served; asked for again, they are the same and cost nothing.
func TestAskingForThousandsLeavesRoomForOthers(t *testing.T) {
	l := newLink(t)
	counted := &transactions{Store: l.store}
	l.host.store = counted
	_, rude := l.startRun()
	served, app := l.startRun()
	ids := unknownIDs(2_000)
	asked := make(chan *flwrpb.PullAppMessagesResponse, 1)
	go func() {
		res, err := l.host.PullMessages(t.Context(), rude, &flwrpb.PullAppMessagesRequest{MessageIds: ids})
		if err != nil {
			t.Error(err)
		}
		asked <- full(t, res)
	}()
	for done := false; !done; {
		m := l.instruction(served.ID)
		l.send(app, m)
		reply := l.reply(m)
		if got := l.pull(app, m.ID()).GetMessagesList(); len(got) != 1 || got[0].GetMetadata().GetMessageId() != reply {
			t.Fatalf("the other run got %v", got)
		}
		select {
		case res := <-asked:
			checkUnknown(t, rude, ids, res)
			done = true
		default:
		}
	}
	if n := counted.count.Load(); n != 2 {
		t.Errorf("%d transactions for the errors, want 2", n)
	}
	checkUnknown(t, rude, ids, l.pull(rude, ids...))
	if n := counted.count.Load(); n != 2 {
		t.Error("errors that had already been made were made again")
	}
}

func checkUnknown(t *testing.T, app task.Task, ids []string, res *flwrpb.PullAppMessagesResponse) {
	t.Helper()
	if len(res.GetMessagesList()) != len(ids) || len(res.GetMessageObjectTrees()) != len(ids) {
		t.Fatalf("%d messages and %d trees for %d ids", len(res.GetMessagesList()), len(res.GetMessageObjectTrees()), len(ids))
	}
	for i, msg := range res.GetMessagesList() {
		md := msg.GetMetadata()
		if msg.GetError().GetCode() != flwr.ErrorMessageUnavailable || md.GetReplyToMessageId() != ids[i] ||
			md.GetRunId() != app.RunID || md.GetMessageId() != res.GetMessageObjectTrees()[i].GetObjectId() {
			t.Fatalf("answer %d to %s is %v", i, ids[i], msg)
		}
	}
}
