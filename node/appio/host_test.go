package appio_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rhizome-fl/rhizome/exec/runtime"
	"github.com/rhizome-fl/rhizome/exec/task"
	"github.com/rhizome-fl/rhizome/node/appconfig"
	"github.com/rhizome-fl/rhizome/node/appio"
	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/store"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

var clientApp = &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp, task.TypeClientApp}}

// fixture is a host with a store, without HTTP.
type fixture struct {
	t       testing.TB
	store   *store.Store
	objects *nodetest.Memory
	*appio.Host
}

func newFixture(t testing.TB, change func(*appio.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, objects: nodetest.NewMemory()}
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "node.db"), f.objects)
	if err != nil {
		t.Fatal(err)
	}
	f.store = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.UpdateIdentity(context.Background(), func(id *store.Identity) { id.NodeID = nodetest.NodeID }); err != nil {
		t.Fatal(err)
	}
	nodeConfig, err := appconfig.Parse("partition-id=3")
	if err != nil {
		t.Fatal(err)
	}
	cfg := appio.Config{
		Store: s, Objects: f.objects, Slots: 1, NodeConfig: nodeConfig,
		Fetch: func(context.Context, uint64, ...string) error { return errors.New("the link is away") },
	}
	if change != nil {
		change(&cfg)
	}
	f.Host = appio.New(cfg)
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// accept takes a message of the run in.
func (f *fixture) accept(r *nodetest.Run, n int) nodetest.Message {
	f.t.Helper()
	m := r.Instruction(f.t, n, "model")
	_, err := f.store.AddOffer(context.Background(), store.Offer{
		MessageID: m.ID, Message: m.Offer.GetMessage(), Tree: m.Offer.GetTree(), ObjectIDs: m.Objects,
		Run: store.Run{ID: r.ID, SeriesID: r.SeriesID, FABHash: r.FABHash, Proto: m.Offer.GetRun()},
	})
	f.must(err)
	nodetest.Put(f.t, f.objects, r.Objects, append(m.Objects, r.FABHash)...)
	config, err := appconfig.Parse("lr=0.1")
	f.must(err)
	f.must(f.store.SetRunConfig(context.Background(), r.ID, config))
	f.must(f.store.Accept(context.Background(), m.ID))
	return m
}

// acquire gets a task as an executor and its app do.
func (f *fixture) acquire() task.Task {
	f.t.Helper()
	res, err := f.AcquireTask(context.Background(), clientApp)
	f.must(err)
	if res.GetToken() == "" {
		f.t.Fatal("no task")
	}
	return f.authenticate(res.GetToken())
}

func (f *fixture) authenticate(token string) task.Task {
	f.t.Helper()
	t, err := f.Authenticate(context.Background(), token)
	f.must(err)
	return t
}

func (f *fixture) input(t task.Task) (*flwrpb.PullTaskInputResponse, *flwrpb.Context) {
	f.t.Helper()
	in, err := f.PullTaskInput(context.Background(), t)
	f.must(err)
	appContext := new(flwrpb.Context)
	f.must(proto.Unmarshal(in.GetContext(), appContext))
	return in, appContext
}

// answer pushes a complete reply.
func (f *fixture) answer(t task.Task, m nodetest.Message) nodetest.Message {
	f.t.Helper()
	blobs := nodetest.Blobs{}
	r := m.Reply(f.t, blobs, "result")
	res, err := f.PushMessages(context.Background(), t, &flwrpb.PushAppMessagesRequest{
		MessagesList: []*flwrpb.Message{r.Proto}, MessageObjectTrees: []*flwrpb.ObjectTree{r.Tree},
	})
	f.must(err)
	if res.GetMessageIds()[0] != r.ID || res.GetSessionId() == "" {
		f.t.Fatalf("push-messages = %v", res)
	}
	for _, id := range res.GetObjectsToPush() {
		f.push(t, id, blobs[id], true)
	}
	return r
}

func (f *fixture) push(t task.Task, id string, content []byte, want bool) {
	f.t.Helper()
	body := bytes.NewReader(content)
	stored, err := f.PushObject(context.Background(), t, runtime.ObjectPush{ObjectID: id, RunID: t.RunID, Size: int64(len(content))}, body)
	f.must(err)
	if stored != want {
		f.t.Fatalf("push of %s: stored %v, want %v", id, stored, want)
	}
	if body.Len() > 0 {
		f.t.Fatalf("%d bytes of the body were not read", body.Len())
	}
}

func (f *fixture) output(t task.Task, state []byte) {
	f.t.Helper()
	f.must(f.PushTaskOutput(context.Background(), t, &flwrpb.PushTaskOutputRequest{Context: state, SubStatus: "completed"}))
}

func (f *fixture) unsent() []*flwrpb.Message {
	f.t.Helper()
	replies, _, err := f.store.UnsentReplies(context.Background(), 0, 100)
	f.must(err)
	var msgs []*flwrpb.Message
	for _, r := range replies {
		msg := new(flwrpb.Message)
		f.must(proto.Unmarshal(r.Message, msg))
		msgs = append(msgs, msg)
	}
	return msgs
}

// onlyCrash checks that the answer is error 8 and returns its text.
func (f *fixture) onlyCrash() string {
	f.t.Helper()
	msgs := f.unsent()
	if len(msgs) != 1 || msgs[0].GetError().GetCode() != flwr.ErrorClientAppCrashed {
		f.t.Fatalf("answers = %v, want one error 8", msgs)
	}
	return msgs[0].GetError().GetReason()
}

func wantCode(t testing.TB, err error, code flwr.Code) {
	t.Helper()
	var e *flwr.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error = %v, want code %d", err, code)
	}
}

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

	pulled, err := f.PullMessages(t.Context(), tk, &flwrpb.PullAppMessagesRequest{})
	f.must(err)
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
		t.Error("the reply is to be sent before the task has ended")
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
		t.Error("the next task of the run does not start from what the last left")
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
		_, err := f.PushMessages(t.Context(), tk, &flwrpb.PushAppMessagesRequest{MessagesList: msgs, MessageObjectTrees: trees})
		return err
	}
	r := m.Reply(t, nodetest.Blobs{}, "result")
	one := func(change func(*flwrpb.Message)) []*flwrpb.Message {
		msg := proto.CloneOf(r.Proto)
		change(msg)
		return []*flwrpb.Message{msg}
	}
	wantCode(t, push(nil), flwr.CodeInvalidMessageCount)
	wantCode(t, push([]*flwrpb.Message{r.Proto}), flwr.CodeInvalidMessageCount)
	wantCode(t, push(one(func(m *flwrpb.Message) { m.Metadata.RunId = 8 }), r.Tree), flwr.CodeMessageRunIDMismatch)
	for name, change := range map[string]func(*flwrpb.Message){
		"another instruction": func(m *flwrpb.Message) { m.Metadata.ReplyToMessageId = r.ID },
		"another id":          func(m *flwrpb.Message) { m.Metadata.MessageId = m.Metadata.ReplyToMessageId },
		"neither":             func(m *flwrpb.Message) { m.Content = nil },
		"both":                func(m *flwrpb.Message) { m.Error = &flwrpb.Error{} },
	} {
		var e *flwr.Error
		if err := push(one(change), r.Tree); !errors.As(err, &e) || e.Status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.answer(tk, m)
	other := m.Reply(t, nodetest.Blobs{}, "second thoughts")
	res, err := f.PushMessages(t.Context(), tk, &flwrpb.PushAppMessagesRequest{
		MessagesList: []*flwrpb.Message{other.Proto}, MessageObjectTrees: []*flwrpb.ObjectTree{other.Tree}})
	if err != nil || res.GetMessageIds()[0] != "" {
		t.Errorf("a second reply: %v, %v", res, err)
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
	_, err := f.PushMessages(t.Context(), tk, &flwrpb.PushAppMessagesRequest{
		MessagesList: []*flwrpb.Message{r.Proto}, MessageObjectTrees: []*flwrpb.ObjectTree{r.Tree}})
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
	exit := runtime.Exit{Code: -1, Signal: "SIGKILL", Detail: "a secret of this site"}
	for _, share := range []bool{false, true} {
		f := newFixture(t, func(c *appio.Config) {
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
	f.must(f.ReportExit(t.Context(), tk, runtime.Exit{Code: 1}))
	f.onlyCrash()
}

func TestAcquireWaits(t *testing.T) {
	f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
	got := make(chan *flwrpb.AcquireTaskResponse, 1)
	go func() {
		res, err := f.AcquireTask(context.Background(), clientApp)
		if err != nil {
			t.Error(err)
		}
		got <- res
	}()
	m := f.accept(run, 1)
	res := <-got
	if res.GetTask().GetRunId() != 7 || res.GetTask().GetType() != task.TypeClientApp || res.GetTask().GetFabHash() != run.FABHash ||
		res.GetTask().GetStartingAt() == "" {
		t.Errorf("task = %v", res.GetTask())
	}

	// The slot is taken: another one waits until it is free, or until its client leaves.
	f.accept(run, 2)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		res, err := f.AcquireTask(ctx, clientApp)
		if err != nil {
			t.Error(err)
		}
		got <- res
	}()
	leave()
	if res := <-got; res.GetToken() != "" {
		t.Fatal("two tasks for one slot")
	}
	go func() {
		res, err := f.AcquireTask(t.Context(), clientApp)
		if err != nil {
			t.Error(err)
		}
		got <- res
	}()
	tk := f.authenticate(res.GetToken())
	f.input(tk)
	f.answer(tk, m)
	f.output(tk, nil)
	if res := <-got; res.GetToken() == "" {
		t.Error("no task although the slot is free")
	}
}

func TestNothingForOtherExecutors(t *testing.T) {
	f := newFixture(t, nil)
	f.accept(nodetest.NewRun(t, 7), 1)
	ctx, leave := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer leave()
	res, err := f.AcquireTask(ctx, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp}})
	if err != nil || res.GetToken() != "" {
		t.Errorf("acquired %v, %v", res, err)
	}
}

func TestAwaitTaskEnd(t *testing.T) {
	f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
	m := f.accept(run, 1)
	tk := f.acquire()
	f.input(tk)
	ended := make(chan error, 1)
	ctx, leave := context.WithCancel(t.Context())
	go func() { ended <- f.AwaitTaskEnd(ctx, tk) }()
	f.answer(tk, m)
	f.output(tk, nil)
	leave()
	if err := <-ended; err == nil {
		t.Error("the app's own end was told as somebody else's")
	}

	f.accept(run, 2)
	tk = f.acquire()
	go func() { ended <- f.AwaitTaskEnd(t.Context(), tk) }()
	if _, err := f.store.DropRun(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("await-task-end = %v", err)
	}
	if _, err := f.PullTaskInput(t.Context(), tk); err == nil {
		t.Error("a task of a dropped run was started")
	} else {
		wantCode(t, err, flwr.CodeRunIDNotFound)
	}
	f.output(tk, nil)
}

func TestSilentApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()
		f.accept(run, 1)
		f.accept(run, 2)
		tk := f.acquire()
		f.input(tk)
		for range 5 {
			time.Sleep(20 * time.Second) // virtual
			if alive, err := f.Heartbeat(t.Context(), tk); err != nil || !alive {
				t.Fatalf("heartbeat = %v, %v", alive, err)
			}
		}
		next := make(chan task.Task)
		go func() { next <- f.acquire() }()
		began := time.Now()
		started := <-next // the slot is free once the silent app was given up
		if waited := time.Since(began); waited > task.HeartbeatLimit {
			t.Errorf("given up after %s", waited)
		}
		f.onlyCrash()

		// The next one is claimed and never started: it is there for another claim.
		again := f.acquire()
		if again.MessageID != started.MessageID || again.ID == started.ID {
			t.Errorf("claimed %+v, then %+v", started, again)
		}
		stop()
		<-done
	})
}

func TestLostObjectIsFetchedAgain(t *testing.T) {
	run := nodetest.NewRun(t, 7)
	var f *fixture
	down := true
	f = newFixture(t, func(c *appio.Config) {
		c.Fetch = func(_ context.Context, _ uint64, ids ...string) error {
			if down {
				return errors.New("the link is away")
			}
			nodetest.Put(t, f.objects, run.Objects, ids...)
			return nil
		}
	})
	m := f.accept(run, 1)
	tk := f.acquire()
	f.must(f.objects.Remove(m.Objects[0]))
	f.must(f.objects.Remove(run.FABHash))
	object, err := f.PullObject(t.Context(), tk, &flwrpb.PullObjectRequest{ObjectId: m.Objects[0]})
	if err != nil || !object.Found || object.Content != nil {
		t.Errorf("object while the link is away: %+v, %v", object, err)
	}
	var e *flwr.Error
	if _, err := f.PullTaskInput(t.Context(), tk); err == nil || errors.As(err, &e) {
		t.Errorf("input without the bundle: %v, want an error that is tried again", err)
	}
	down = false
	object, err = f.PullObject(t.Context(), tk, &flwrpb.PullObjectRequest{ObjectId: m.Objects[0]})
	if err != nil || object.Content == nil {
		t.Errorf("object after the link is back: %+v, %v", object, err)
	}
	f.input(tk)
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
