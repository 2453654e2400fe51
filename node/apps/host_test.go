package apps_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rhizome-fl/rhizome/node/appconfig"
	"github.com/rhizome-fl/rhizome/node/apps"
	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestOneTask(t *testing.T) {
	f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
	m := f.accept(run, 1)
	tk := f.acquire()

	in, appContext := f.input(tk)
	if in.GetTaskId() != tk.ID || in.GetRun().GetRunId() != 7 || in.GetRun().GetFabHash() != run.FABHash {
		t.Errorf("input = %v", in)
	}
	if !bytes.Equal(in.GetFab().GetContent(), run.Objects[run.FABHash]) || in.GetFab().GetHashStr() != run.FABHash {
		t.Error("the bundle is not that of the run")
	}
	if appContext.GetNodeId() != nodetest.NodeID || appContext.GetRunId() != 7 || appContext.GetSeriesId() != run.SeriesID ||
		appContext.GetNodeConfig()["partition-id"].GetSint64() != 3 || appContext.GetRunConfig()["lr"].GetDouble() != 0.1 || appContext.State == nil {
		t.Errorf("context = %v", appContext)
	}
	again, _ := f.input(tk)
	if diff := cmp.Diff(in, again, protocmp.Transform()); diff != "" {
		t.Errorf("second pull-task-input differs:\n%s", diff)
	}

	got, err := f.PullMessages(t.Context(), tk, &flwrpb.PullAppMessagesRequest{})
	f.must(err)
	pulled := flwrtest.Recode(t, got, &flwrpb.PullAppMessagesResponse{})
	if len(pulled.GetMessagesList()) != 1 || len(pulled.GetMessageObjectTrees()) != 1 ||
		pulled.GetMessagesList()[0].GetMetadata().GetMessageId() != m.ID || pulled.GetMessagesList()[0].Content == nil {
		t.Fatalf("pull-messages = %v", pulled)
	}
	for _, id := range m.Objects {
		object, err := f.PullObject(t.Context(), tk, &flwrpb.PullObjectRequest{ObjectId: id})
		f.must(err)
		content, err := io.ReadAll(object.Content)
		f.must(err)
		if !object.Found || !bytes.Equal(content, run.Objects[id]) || object.Size != int64(len(content)) {
			t.Errorf("object %s = %d bytes", id, len(content))
		}
	}
	f.must(f.ConfirmMessageReceived(t.Context(), tk, &flwrpb.ConfirmMessageReceivedRequest{MessageObjectId: m.ID}))
	if alive, err := f.Heartbeat(t.Context(), tk); err != nil || !alive {
		t.Errorf("heartbeat = %v, %v", alive, err)
	}
	r := f.answer(tk, m)
	if len(f.unsent()) > 0 {
		t.Error("the reply is due to be sent although the task has not ended")
	}
	f.output(tk, []byte{})
	if msgs := f.unsent(); len(msgs) != 1 || msgs[0].GetMetadata().GetMessageId() != r.ID {
		t.Errorf("answers = %v", msgs)
	}
	f.output(tk, []byte{}) // repeated after a lost response
}

func TestStateOfASeries(t *testing.T) {
	f := newFixture(t, nil)
	first := nodetest.NewRunOf(t, 7, 99, "")
	second := nodetest.NewRunOf(t, 8, 99, "")
	m1, m2 := f.accept(first, 1), f.accept(first, 2)

	tk := f.acquire()
	f.input(tk)
	f.answer(tk, m1)
	left, err := proto.Marshal(&flwrpb.Context{RunId: 7, NodeId: nodetest.NodeID, SeriesId: 99, State: []byte{0x0a, 0x00},
		RunConfig: appconfig.Config{"own": {Scalar: &flwrpb.Scalar_Bool{Bool: true}}}})
	f.must(err)
	f.output(tk, left)

	tk = f.acquire()
	in, _ := f.input(tk)
	if !bytes.Equal(in.GetContext(), left) {
		t.Error("the next task of the run does not start from what the last one left")
	}
	f.answer(tk, m2)
	f.output(tk, nil) // no context: the old one stays

	f.accept(second, 3)
	_, appContext := f.input(f.acquire())
	if !bytes.Equal(appContext.GetState(), []byte{0x0a, 0x00}) || appContext.GetRunId() != 8 ||
		appContext.GetRunConfig()["own"] != nil || appContext.GetRunConfig()["lr"] == nil {
		t.Errorf("context of the next run = %v", appContext)
	}
}

func TestRepliesThatAreRefused(t *testing.T) {
	f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
	m := f.accept(run, 1)
	tk := f.acquire()
	f.input(tk)
	push := func(msgs []*flwrpb.Message, trees ...*flwrpb.ObjectTree) error {
		_, err := f.PushMessages(t.Context(), tk, f.pushRequest(msgs, trees...))
		return err
	}
	r := m.Reply(t, nodetest.Blobs{}, "result")
	changed := func(change func(*flwrpb.Message)) []*flwrpb.Message {
		msg := proto.CloneOf(r.Proto)
		change(msg)
		return []*flwrpb.Message{msg}
	}
	wantCode(t, push(nil), flwr.CodeInvalidMessageCount)
	wantCode(t, push([]*flwrpb.Message{r.Proto}), flwr.CodeInvalidMessageCount)
	wantCode(t, push(changed(func(m *flwrpb.Message) { m.Metadata.RunId = 8 }), r.Tree), flwr.CodeMessageRunIDMismatch)
	for name, change := range map[string]func(*flwrpb.Message){
		"another instruction": func(m *flwrpb.Message) { m.Metadata.ReplyToMessageId = r.ID },
		"another id":          func(m *flwrpb.Message) { m.Metadata.MessageId = m.Metadata.ReplyToMessageId },
		"neither":             func(m *flwrpb.Message) { m.Content = nil },
		"both":                func(m *flwrpb.Message) { m.Error = &flwrpb.Error{} },
		"another node":        func(m *flwrpb.Message) { m.Metadata.SrcNodeId++ },
		"no lifetime":         func(m *flwrpb.Message) { m.Metadata.Ttl = math.NaN() },
		"before Flower":       func(m *flwrpb.Message) { m.Metadata.CreatedAt = 1 },
	} {
		var e *flwr.Error
		if err := push(changed(change), r.Tree); !errors.As(err, &e) || e.Status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.answer(tk, m)
	other := m.Reply(t, nodetest.Blobs{}, "second thoughts")
	res, err := f.PushMessages(t.Context(), tk, f.pushRequest([]*flwrpb.Message{other.Proto}, other.Tree))
	if err != nil || res.GetMessageIds()[0] != "" {
		t.Errorf("a second reply: %v, %v", res, err)
	}
}

// Parts of a message that the node does not understand pass through it unchanged.
func TestBytesAreKept(t *testing.T) {
	f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
	m := f.accept(run, 1)
	tk := f.acquire()
	f.input(tk)
	pulled, err := f.PullMessages(t.Context(), tk, &flwrpb.PullAppMessagesRequest{})
	f.must(err)
	if !bytes.Equal(pulled.GetMessages()[0], m.Offer.GetMessage()) || !bytes.Equal(pulled.GetTrees()[0], m.Offer.GetTree()) {
		t.Error("an app got different bytes from those offered")
	}
	blobs := nodetest.Blobs{}
	r := m.Reply(t, blobs, "result")
	req := f.pushRequest([]*flwrpb.Message{r.Proto}, r.Tree)
	unknown := []byte{0x98, 0x06, 1} // field 99
	req.Messages[0] = append(req.Messages[0], unknown...)
	req.Trees[0] = append(req.Trees[0], unknown...)
	res, err := f.PushMessages(t.Context(), tk, req)
	f.must(err)
	for _, id := range res.GetObjectsToPush() {
		f.push(tk, id, blobs[id], true)
	}
	f.output(tk, nil)
	replies, _, err := f.store.UnconfirmedReplies(t.Context(), 0, 1)
	f.must(err)
	if !bytes.Equal(replies[0].Message, req.Messages[0]) || !bytes.Equal(replies[0].Tree, req.Trees[0]) {
		t.Error("the link gets different bytes from those the app wrote")
	}
}

func TestObjectsOfOthers(t *testing.T) {
	f, run, other := newFixture(t, nil), nodetest.NewRun(t, 7), nodetest.NewRun(t, 8)
	m := f.accept(run, 1)
	secret := other.Instruction(t, 2, "secret model")
	nodetest.Put(t, f.objects, other.Objects, secret.Objects...)
	tk := f.acquire()
	for _, id := range []string{secret.Objects[0], strings.Repeat("0", 64), "../../etc/passwd", ""} {
		object, err := f.PullObject(t.Context(), tk, &flwrpb.PullObjectRequest{ObjectId: id, RunId: 8})
		if err != nil || object.Found || object.Content != nil {
			t.Errorf("object %q of another run: %+v, %v", id, object, err)
		}
	}
	f.push(tk, strings.Repeat("0", 64), []byte("not asked for"), false)
	f.input(tk)
	blobs := nodetest.Blobs{}
	r := m.Reply(t, blobs, "result")
	_, err := f.PushMessages(t.Context(), tk, f.pushRequest([]*flwrpb.Message{r.Proto}, r.Tree))
	f.must(err)
	f.push(tk, r.ID, []byte("not what the id says"), false)
	f.push(tk, r.ID, blobs[r.ID], true)
	f.push(tk, r.ID, blobs[r.ID], true)
}

func TestEndWithoutAReply(t *testing.T) {
	f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
	f.accept(run, 1)
	tk := f.acquire()
	f.input(tk)
	f.must(f.PushTaskOutput(t.Context(), tk, &flwrpb.PushTaskOutputRequest{SubStatus: "failed", Details: "import failed"}))
	if reason := f.onlyCrash(); !strings.Contains(reason, "import failed") {
		t.Errorf("reason = %q", reason)
	}
}

func TestExit(t *testing.T) {
	exit := task.Exit{Code: -1, Signal: "SIGKILL", Detail: "a secret of this site"}
	for _, share := range []bool{false, true} {
		f := newFixture(t, func(c *apps.Config) {
			if share {
				c.ShareLogs = func(uint64, []string) {}
			}
		})
		f.accept(nodetest.NewRun(t, 7), 1)
		tk := f.acquire()
		f.input(tk)
		f.must(f.ReportExit(t.Context(), tk, exit))
		reason := f.onlyCrash()
		if !strings.HasPrefix(reason, "ClientApp stopped responding.") || !strings.Contains(reason, "SIGKILL") {
			t.Errorf("reason = %q", reason)
		}
		if leaked := strings.Contains(reason, exit.Detail); leaked != share {
			t.Errorf("output of the app in the reply: %v, shared: %v", leaked, share)
		}
		f.must(f.ReportExit(t.Context(), tk, exit)) // again
		f.onlyCrash()
	}
}

func TestCrashAfterTheReplyIsACrash(t *testing.T) {
	f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
	m := f.accept(run, 1)
	tk := f.acquire()
	f.input(tk)
	f.answer(tk, m)
	f.must(f.ReportExit(t.Context(), tk, task.Exit{Code: 1}))
	f.onlyCrash()
}

func TestLostObjectIsFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a fetch is tried again and again
		f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
		m := f.accept(run, 1)
		tk := f.acquire()
		f.must(f.objects.Remove(m.Objects[0]))
		f.must(f.objects.Remove(run.FABHash))
		object, err := f.PullObject(t.Context(), tk, &flwrpb.PullObjectRequest{ObjectId: m.Objects[0]})
		if err != nil || !object.Found || object.Content != nil {
			t.Errorf("object while the link is unreachable: %+v, %v", object, err)
		}
		var e *flwr.Error
		if _, err := f.PullTaskInput(t.Context(), tk); err == nil || errors.As(err, &e) {
			t.Errorf("input without the bundle: %v, want an error that is tried again", err)
		}
		f.fetch = func(ids []string) error {
			nodetest.Put(t, f.objects, run.Objects, ids...)
			return nil
		}
		object, err = f.PullObject(t.Context(), tk, &flwrpb.PullObjectRequest{ObjectId: m.Objects[0]})
		if err != nil || object.Content == nil {
			t.Errorf("object after the link is back: %+v, %v", object, err)
		}
		f.input(tk)
	})
}

func TestServerAppRoutes(t *testing.T) {
	f := newFixture(t, nil)
	_, err := f.GetNodes(t.Context(), task.Task{})
	wantCode(t, err, flwr.CodeEndpointUnavailable)
	f.must(f.PushLogs(t.Context(), task.Task{}, &flwrpb.PushLogsRequest{Logs: []string{"stays here"}}))
	if _, err := f.Authenticate(t.Context(), "no token"); !errors.Is(err, task.ErrUnknownToken) {
		t.Errorf("authenticate = %v", err)
	}
}
