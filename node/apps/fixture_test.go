package apps_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/node/appconfig"
	"github.com/rhizome-fl/rhizome/node/apps"
	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

var clientApp = &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp, task.TypeClientApp}}

// fixture is a host with a store, without HTTP.
type fixture struct {
	t       testing.TB
	store   *state.Store
	fetch   func(ids []string) error // from the link, which is unreachable
	objects *nodetest.Memory
	*apps.Host
}

func newFixture(t testing.TB, change func(*apps.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, objects: nodetest.NewMemory()}
	s, err := state.Open(context.Background(), filepath.Join(t.TempDir(), "node.db"), f.objects)
	if err != nil {
		t.Fatal(err)
	}
	f.store = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.UpdateIdentity(context.Background(), func(id *state.Identity) { id.NodeID = nodetest.NodeID }); err != nil {
		t.Fatal(err)
	}
	nodeConfig, err := appconfig.Parse("partition-id=3")
	if err != nil {
		t.Fatal(err)
	}
	f.fetch = func([]string) error { return errors.New("the link is away") }
	office := messages.New(messages.Config{
		Store: s, Objects: f.objects, Slots: 1, Policy: policy.Entities(nil),
		Fetch: func(_ context.Context, w messages.Want) error { return f.fetch(w.IDs) },
	})
	t.Cleanup(office.Close)
	cfg := apps.Config{Office: office, Store: s, NodeConfig: nodeConfig}
	if change != nil {
		change(&cfg)
	}
	f.Host = apps.New(cfg)
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// accept takes in a message of the run.
func (f *fixture) accept(r *nodetest.Run, n int) nodetest.Message {
	f.t.Helper()
	m := r.Instruction(f.t, n, "model")
	_, err := f.store.TakeIn(context.Background(), state.Offer{
		MessageID: m.ID, Message: m.Offer.GetMessage(), Tree: m.Offer.GetTree(), ObjectIDs: m.Objects,
		Run: state.Run{ID: r.ID, SeriesID: r.SeriesID, FABHash: r.FABHash, Proto: m.Offer.GetRun()},
	})
	f.must(err)
	nodetest.Put(f.t, f.objects, r.Objects, append(m.Objects, r.FABHash)...)
	config, err := appconfig.Parse("lr=0.1")
	f.must(err)
	f.must(f.store.SetRunConfig(context.Background(), r.ID, config))
	f.must(f.store.MarkComplete(context.Background(), m.ID))
	return m
}

// acquire gets a task the way an executor and its app do.
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

// pushRequest makes what the host gets when an app pushes messages.
func (f *fixture) pushRequest(msgs []*flwrpb.Message, trees ...*flwrpb.ObjectTree) *flwrpb.RawPushAppMessagesRequest {
	f.t.Helper()
	req := &flwrpb.PushAppMessagesRequest{MessagesList: msgs, MessageObjectTrees: trees}
	return flwrtest.Recode(f.t, req, &flwrpb.RawPushAppMessagesRequest{})
}

// answer pushes a complete reply.
func (f *fixture) answer(t task.Task, m nodetest.Message) nodetest.Message {
	f.t.Helper()
	blobs := nodetest.Blobs{}
	r := m.Reply(f.t, blobs, "result")
	res, err := f.PushMessages(context.Background(), t, f.pushRequest([]*flwrpb.Message{r.Proto}, r.Tree))
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
	stored, err := f.PushObject(context.Background(), t, runtimeapi.ObjectPush{ObjectID: id, RunID: t.RunID, Size: int64(len(content))}, body)
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
	replies, _, err := f.store.UnconfirmedReplies(context.Background(), 0, 100)
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
