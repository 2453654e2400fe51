package apps

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestInstructionIsVisibleWhenItIsWhole(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	m := l.instruction(run.ID)
	res := l.push(app, m)
	want := []string{m.Tree.GetChildren()[0].GetObjectId(), m.ID()}
	if !slices.Equal(res.GetMessageIds(), []string{m.ID()}) || !slices.Equal(res.GetObjectsToPush(), want) || res.GetSessionId() == "" {
		t.Fatalf("push answered %v", res)
	}
	for i, id := range want {
		if got := l.waiting(); len(got) != 0 {
			t.Fatalf("the message is visible after %d objects", i)
		}
		if again := l.push(app, m).GetObjectsToPush(); !slices.Equal(again, want[i:]) {
			t.Errorf("after %d objects a repeated push asked for %v", i, again)
		}
		if i == 1 {
			l.restart() // what is half complete stays so
		}
		l.pushObject(app, id, m.Objects[id])
	}
	if got := l.waiting(); !slices.Equal(got, []string{m.ID()}) {
		t.Errorf("%v are waiting", got)
	}
	if again := l.push(app, m); len(again.GetObjectsToPush()) != 0 || again.GetMessageIds()[0] != m.ID() {
		t.Errorf("a message that is already there was answered with %v", again)
	}
}

func TestBadObjectsAreNotStored(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	m := l.instruction(run.ID)
	l.push(app, m)
	if l.pushObject(app, m.ID(), []byte("something else")) {
		t.Error("wrong bytes were stored")
	}
	if l.pushObject(app, object.Sum([]byte("nobody asked")), []byte("nobody asked")) {
		t.Error("an object that no message needs was stored")
	}
	if _, err := l.host.PushObject(t.Context(), app, runtimeapi.ObjectPush{NodeID: 7}, strings.NewReader("")); code(err) != flwr.CodeUnexpectedNodeID {
		t.Errorf("another node's object: %v", err)
	}
}

func TestBadInstructionsAreRefusedOneByOne(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	bad := map[string]func(*flwrtest.Letter){
		"another run":     func(m *flwrtest.Letter) { m.Message.Metadata.RunId++ },
		"another source":  func(m *flwrtest.Letter) { m.Message.Metadata.SrcNodeId = l.node },
		"unknown node":    func(m *flwrtest.Letter) { m.Message.Metadata.DstNodeId = 12345 },
		"no type":         func(m *flwrtest.Letter) { m.Message.Metadata.MessageType = "" },
		"expired":         func(m *flwrtest.Letter) { m.Message.Metadata.CreatedAt -= 7200 },
		"no time to live": func(m *flwrtest.Letter) { m.Message.Metadata.Ttl = 0 },
		"ancient":         func(m *flwrtest.Letter) { m.Message.Metadata.CreatedAt = 1; m.Message.Metadata.Ttl = 1e18 },
		"no content":      func(m *flwrtest.Letter) { m.Message.Content = nil },
		"two contents":    func(m *flwrtest.Letter) { m.Message.Error = &flwrpb.Error{Code: 2} },
		"no metadata":     func(m *flwrtest.Letter) { m.Message.Metadata = nil },
		"foreign tree":    func(m *flwrtest.Letter) { m.Tree.ObjectId = m.Tree.Children[0].ObjectId },
		"malformed tree":  func(m *flwrtest.Letter) { m.Tree.Children[0].ObjectId = "../../etc/passwd" },
		"a reply":         func(m *flwrtest.Letter) { m.Message.Metadata.ReplyToMessageId = m.ID() },
	}
	good := l.instruction(run.ID)
	for name, spoil := range bad {
		m := l.instruction(run.ID)
		spoil(&m)
		res := l.push(app, m, good)
		if !slices.Equal(res.GetMessageIds(), []string{"", good.ID()}) {
			t.Errorf("%s: answered %q", name, res.GetMessageIds())
		}
	}
	for name, req := range map[string]*flwrpb.PushAppMessagesRequest{
		"nothing": {},
		"no tree": {MessagesList: []*flwrpb.Message{good.Message}},
	} {
		if _, err := l.host.PushMessages(t.Context(), app, rawPush(t, req)); code(err) != flwr.CodeInvalidMessageCount {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReplyIsGivenUntilItIsConfirmed(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	m := l.instruction(run.ID)
	l.send(app, m)
	reply := l.reply(m)
	for range 2 {
		res := l.pull(app, m.ID())
		if len(res.GetMessagesList()) != 1 || res.GetMessagesList()[0].GetMetadata().GetMessageId() != reply ||
			res.GetMessageObjectTrees()[0].GetObjectId() != reply {
			t.Fatalf("pull answered %v", res)
		}
	}
	o, err := l.host.PullObject(t.Context(), app, &flwrpb.PullObjectRequest{Node: &flwrpb.Node{NodeId: 1}, RunId: run.ID, ObjectId: reply})
	must(t, err)
	content, err := io.ReadAll(o.Content)
	must(t, err)
	must(t, o.Content.Close())
	if object.Sum(content) != reply {
		t.Error("the wrong object came")
	}
	for range 2 {
		must(t, l.host.ConfirmMessageReceived(t.Context(), app, &flwrpb.ConfirmMessageReceivedRequest{RunId: run.ID, MessageObjectId: reply}))
	}
	if e := l.pull(app, m.ID()).GetMessagesList()[0].GetError(); e.GetCode() != flwr.ErrorMessageUnavailable {
		t.Errorf("after the confirmation: %v", e)
	}
}

func TestPullWaitsForAll(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	a, b := l.instruction(run.ID), l.instruction(run.ID)
	l.send(app, a)
	l.send(app, b)
	l.reply(a)
	began := make(chan struct{})
	go func() {
		<-began
		l.reply(b)
	}()
	close(began)
	if res := l.pull(app, a.ID(), b.ID()); len(res.GetMessagesList()) != 2 {
		t.Errorf("%d replies, want both", len(res.GetMessagesList()))
	}
}

func TestStopEndsAHeldPull(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	m := l.instruction(run.ID)
	l.send(app, m)
	pulled := make(chan error, 1)
	go func() {
		_, err := l.host.PullMessages(t.Context(), app, &flwrpb.PullAppMessagesRequest{MessageIds: []string{m.ID()}})
		pulled <- err
	}()
	must(t, l.store.FinishRun(t.Context(), run.ID, task.Stopped, ""))
	if err := <-pulled; code(err) != flwr.CodeAuthenticationFailed {
		t.Errorf("the pull of a stopped app ended with %v", err)
	}
}

func TestUnavailableNodeIsAnError(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	m := l.instruction(run.ID)
	l.send(app, m)
	must(t, l.store.DeactivateNode(t.Context(), l.node))
	first := l.pull(app, m.ID()).GetMessagesList()[0]
	md := first.GetMetadata()
	if first.GetError().GetCode() != flwr.ErrorNodeUnavailable || md.GetReplyToMessageId() != m.ID() || md.GetMessageType() != "train" ||
		md.GetSrcNodeId() != 1 || md.GetDstNodeId() != 1 || md.GetGroupId() != "1" {
		t.Errorf("the error is %v", first)
	}
	if second := l.pull(app, m.ID()).GetMessagesList()[0]; !proto.Equal(first, second) {
		t.Error("a repeated pull gave another error")
	}
	o, err := l.host.PullObject(t.Context(), app, &flwrpb.PullObjectRequest{Node: &flwrpb.Node{NodeId: 1}, ObjectId: md.GetMessageId()})
	must(t, err)
	if !o.Found || o.Content == nil {
		t.Fatal("the error has no object")
	}
	must(t, o.Content.Close())
	must(t, l.host.ConfirmMessageReceived(t.Context(), app, &flwrpb.ConfirmMessageReceivedRequest{MessageObjectId: md.GetMessageId()}))
	if _, err := l.store.Message(t.Context(), m.ID()); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("the node would still work on a message that nobody is waiting for: %v", err)
	}
}

func TestUnknownInstructionIsAnError(t *testing.T) {
	l := newLink(t)
	_, app := l.startRun()
	id := object.Sum([]byte("never sent"))
	msg := l.pull(app, id).GetMessagesList()[0]
	if msg.GetError().GetCode() != flwr.ErrorMessageUnavailable || msg.GetMetadata().GetMessageType() != "system" || msg.GetMetadata().GetReplyToMessageId() != id {
		t.Errorf("the error is %v", msg)
	}
}

func TestAcquireWaitsForATask(t *testing.T) {
	l := newLink(t)
	acquired := make(chan *flwrpb.AcquireTaskResponse, 1)
	go func() {
		res, _ := l.host.AcquireTask(t.Context(), &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp}})
		acquired <- res
	}()
	run, err := l.store.CreateRun(t.Context(), state.NewRun{TaskType: task.TypeServerApp, FABHash: object.Sum(nil)})
	must(t, err)
	res := <-acquired
	if res.GetTask().GetRunId() != run.ID || res.GetTask().GetType() != task.TypeServerApp || res.GetToken() == "" {
		t.Errorf("acquired %v", res)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.host.AcquireTask(ctx, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v", err)
	}
}

// leaving is a store whose client goes away while its claim is being written.
type leaving struct {
	state.Store
	leave func()
}

func (s leaving) ClaimTask(ctx context.Context, types []string) (task.Task, string, bool, error) {
	defer s.leave()
	return s.Store.ClaimTask(ctx, types)
}

func TestClaimOfAClientThatLeftIsGivenBack(t *testing.T) {
	l := newLink(t)
	run, err := l.store.CreateRun(t.Context(), state.NewRun{TaskType: task.TypeServerApp, FABHash: object.Sum(nil)})
	must(t, err)
	ctx, leave := context.WithCancel(t.Context())
	l.host.store = leaving{l.store, leave}
	if _, err := l.host.AcquireTask(ctx, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v", err)
	}
	l.host.store = l.store
	res, err := l.host.AcquireTask(t.Context(), &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp}})
	if must(t, err); res.GetTask().GetTaskId() != run.PrimaryTask.ID {
		t.Errorf("the next client got %v", res.GetTask())
	}
}

func TestTaskInputIsRepeatable(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	first, err := l.host.PullTaskInput(t.Context(), app)
	must(t, err)
	var c flwrpb.Context
	must(t, proto.Unmarshal(first.GetContext(), &c))
	if c.GetRunId() != run.ID || c.GetNodeId() != 1 || c.GetSeriesId() != run.SeriesID || first.GetTaskId() != app.ID ||
		first.GetFab().GetHashStr() != run.FABHash || object.Sum(first.GetFab().GetContent()) != run.FABHash {
		t.Errorf("task input is %v with context %v", first, &c)
	}
	must(t, l.store.FinishRun(t.Context(), run.ID, task.Stopped, ""))
	if _, err := l.host.PullTaskInput(t.Context(), app); code(err) != flwr.CodeTaskStartFailed {
		t.Errorf("the input of a stopped task: %v", err)
	}
}

func TestSeriesGoesOnUnderANewRun(t *testing.T) {
	old, err := proto.Marshal(&flwrpb.Context{RunId: 7, NodeId: 1, SeriesId: 9, State: []byte{1, 2, 3}})
	must(t, err)
	var c flwrpb.Context
	must(t, proto.Unmarshal(contextOfRun(old, 8), &c))
	if c.GetRunId() != 8 || c.GetSeriesId() != 9 || !bytes.Equal(c.GetState(), []byte{1, 2, 3}) {
		t.Errorf("context is %v", &c)
	}
}

func TestExitOfTheAppFailsItsRun(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	for range 2 {
		must(t, l.host.ReportExit(t.Context(), app, task.Exit{Code: -1, Signal: "SIGKILL", Detail: "out of memory"}))
	}
	got, err := l.store.Run(t.Context(), run.ID)
	must(t, err)
	if p := got.PrimaryTask; p.SubStatus != task.Failed || !strings.Contains(p.Details, "SIGKILL") || !strings.Contains(p.Details, "out of memory") {
		t.Errorf("the run ended as %s: %s", p.SubStatus, p.Details)
	}
}

func TestAwaitTaskEnd(t *testing.T) {
	l := newLink(t)
	await := func(ctx context.Context, app task.Task) <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- l.host.AwaitTaskEnd(ctx, app) }()
		for {
			l.host.waiters.mu.Lock()
			waiting := len(l.host.waiters.byTask[app.ID]) > 0
			l.host.waiters.mu.Unlock()
			if waiting {
				return ended
			}
			time.Sleep(time.Millisecond) // until the goroutine has got that far
		}
	}
	run, app := l.startRun()
	ended := await(t.Context(), app)
	must(t, l.store.FinishRun(t.Context(), run.ID, task.Stopped, ""))
	if err := <-ended; err != nil {
		t.Errorf("stopped: %v", err)
	}
	run, app = l.startRun()
	ctx, leave := context.WithCancel(t.Context())
	ended = await(ctx, app)
	must(t, l.host.PushTaskOutput(t.Context(), app, &flwrpb.PushTaskOutputRequest{SubStatus: string(task.Completed)}))
	must(t, l.store.AppendLogs(t.Context(), run.ID, time.Now(), []string{"last words\n"}))
	select {
	case err := <-ended:
		t.Errorf("an app that ended by itself would be killed: %v", err)
	default:
	}
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("left: %v", err)
	}
	if len(l.host.waiters.byTask) != 0 {
		t.Error("waiters were left behind")
	}
}

func TestOutputOfUnknownKindFails(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	must(t, l.host.PushTaskOutput(t.Context(), app, &flwrpb.PushTaskOutputRequest{SubStatus: "fine"}))
	got, err := l.store.Run(t.Context(), run.ID)
	must(t, err)
	if got.PrimaryTask.SubStatus != task.Failed {
		t.Errorf("the run is %s", got.PrimaryTask.SubStatus)
	}
	must(t, l.host.PushTaskOutput(t.Context(), app, &flwrpb.PushTaskOutputRequest{SubStatus: "completed"}))
}

func TestErrorRepliesAreForgotten(t *testing.T) {
	l := newLink(t)
	run, app := l.startRun()
	l.pull(app, object.Sum([]byte("a")), object.Sum([]byte("b")))
	e := l.host.errors
	if len(e.byInstruction) != 2 || len(e.instructions) != 2 {
		t.Fatalf("%d and %d are remembered, want 2", len(e.byInstruction), len(e.instructions))
	}
	l.host.RunEnded(run.ID, app.ID)
	if len(e.byInstruction)+len(e.instructions)+len(e.byRun)+len(e.order) != 0 {
		t.Error("something of a finished run is still remembered")
	}
}

// A run whose app was damaged on disk fails with the reason, instead of waiting forever.
func TestLostApp(t *testing.T) {
	l := newLink(t)
	run, _ := l.startRun()
	healthy, _ := l.startRun()
	path := filepath.Join(l.dir, "objects", run.FABHash[:1], run.FABHash)
	content, err := os.ReadFile(path)
	must(t, err)
	content[0] ^= 1
	must(t, l.store.Close())
	must(t, os.WriteFile(path, content, 0o600))
	l.open()
	for _, r := range []state.Run{run, healthy} {
		primary, err := l.store.Task(t.Context(), r.PrimaryTask.ID)
		must(t, err)
		_, err = l.host.PullTaskInput(t.Context(), primary)
		if lost := r.ID == run.ID; lost != (code(err) == flwr.CodeAuthenticationFailed) || !lost && err != nil {
			t.Errorf("the app of run %d: %v", r.ID, err)
		}
	}
	now, err := l.store.Run(t.Context(), run.ID)
	must(t, err)
	if now.PrimaryTask.SubStatus != task.Failed || !strings.Contains(now.PrimaryTask.Details, "damaged") {
		t.Errorf("the run is %+v", now.PrimaryTask)
	}
}
