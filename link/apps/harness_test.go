package apps

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// link is the part of a SuperLink that a ServerApp meets, on a real store.
type link struct {
	t       *testing.T
	dir     string
	store   state.Store
	objects *objects.Dir
	office  *messages.Office
	host    *Host
	node    uint64
}

func newLink(t *testing.T) *link {
	l := &link{t: t, dir: t.TempDir()}
	l.open()
	node, err := l.store.RegisterNode(t.Context(), state.Node{PublicKey: []byte(rand.Text()), OwnerID: state.AccountNone})
	must(t, err)
	l.node = node.ID
	must(t, l.store.ActivateNode(t.Context(), node.ID, time.Minute, time.Now().Add(time.Hour), false))
	t.Cleanup(func() { must(t, l.store.Close()) })
	return l
}

func (l *link) open() {
	l.t.Helper()
	var err error
	l.store, err = sqlite.Open(l.t.Context(), filepath.Join(l.dir, "state.db"), sqlite.Options{})
	must(l.t, err)
	l.objects, err = objects.OpenDir(filepath.Join(l.dir, "objects"), objects.DirOptions{})
	must(l.t, err)
	l.office = messages.New(l.store, l.objects)
	must(l.t, l.office.Resume(l.t.Context()))
	l.host = New(l.store, l.objects, l.office)
}

// restart kills the link and opens it again.
func (l *link) restart() {
	l.t.Helper()
	must(l.t, l.store.Close())
	l.open()
}

// startRun creates a run and returns its task as the app has it.
func (l *link) startRun() (state.Run, task.Task) {
	l.t.Helper()
	content := []byte("an app " + rand.Text())
	fab := object.Sum(content)
	must(l.t, l.objects.Put(l.t.Context(), fab, int64(len(content)), bytes.NewReader(content)))
	run, err := l.store.CreateRun(l.t.Context(), state.NewRun{
		TaskType: task.TypeServerApp, FABID: "me/app", FABVersion: "1", FABHash: fab,
		Federation: state.FederationDefault, AccountID: state.AccountNone,
	})
	must(l.t, err)
	res, err := l.host.AcquireTask(l.t.Context(), &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp}})
	must(l.t, err)
	t, err := l.host.Authenticate(l.t.Context(), res.GetToken())
	must(l.t, err)
	_, err = l.host.PullTaskInput(l.t.Context(), t)
	must(l.t, err)
	return run, t
}

// newMessage makes a message with a record of its own.
func newMessage(t testing.TB, md *flwrpb.Metadata) flwrtest.Letter {
	return flwrtest.NewLetter(t, md, "ConfigRecord", []byte(rand.Text()))
}

func (l *link) instruction(runID uint64) flwrtest.Letter {
	l.t.Helper()
	return newMessage(l.t, &flwrpb.Metadata{
		RunId: runID, SrcNodeId: 1, DstNodeId: l.node, MessageType: "train", GroupId: "1",
		CreatedAt: float64(time.Now().UnixMicro()) / 1e6, Ttl: 3600,
	})
}

func (l *link) push(t task.Task, messages ...flwrtest.Letter) *flwrpb.PushAppMessagesResponse {
	l.t.Helper()
	req := &flwrpb.PushAppMessagesRequest{}
	for _, m := range messages {
		req.MessagesList = append(req.MessagesList, m.Message)
		req.MessageObjectTrees = append(req.MessageObjectTrees, m.Tree)
	}
	res, err := l.host.PushMessages(l.t.Context(), t, rawPush(l.t, req))
	must(l.t, err)
	return res
}

func (l *link) pushObject(t task.Task, id string, content []byte) bool {
	l.t.Helper()
	stored, err := l.host.PushObject(l.t.Context(), t, runtimeapi.ObjectPush{
		NodeID: 1, RunID: t.RunID, ObjectID: id, Size: int64(len(content)),
	}, bytes.NewReader(content))
	must(l.t, err)
	return stored
}

// send pushes a message with all its objects.
func (l *link) send(t task.Task, m flwrtest.Letter) string {
	l.t.Helper()
	for _, id := range l.push(t, m).GetObjectsToPush() {
		if !l.pushObject(t, id, m.Objects[id]) {
			l.t.Fatalf("object %s was not stored", id)
		}
	}
	return m.ID()
}

// waiting are the instructions that could be given to the node now.
func (l *link) waiting() []string {
	l.t.Helper()
	leased, err := l.store.LeaseInstructions(l.t.Context(), l.node, 100, time.Time{})
	must(l.t, err)
	var ids []string
	for _, m := range leased {
		ids = append(ids, m.ID)
	}
	return ids
}

// reply has the node answer an instruction.
func (l *link) reply(m flwrtest.Letter) string {
	l.t.Helper()
	r := newMessage(l.t, object.ReplyTo(m.Message.GetMetadata(), time.Now()))
	req := rawPush(l.t, &flwrpb.PushAppMessagesRequest{MessagesList: []*flwrpb.Message{r.Message}, MessageObjectTrees: []*flwrpb.ObjectTree{r.Tree}})
	verdict, err := l.office.Answer(l.t.Context(), state.Node{ID: l.node}, messages.Reply{
		Message: req.GetMessages()[0], Tree: req.GetTrees()[0], Runtime: 1,
		Fetch: func(ctx context.Context, _ uint64, ids []string, shown func(string)) error {
			for _, id := range ids {
				content := r.Objects[id]
				if err := l.objects.Put(ctx, id, int64(len(content)), bytes.NewReader(content)); err != nil {
					return err
				}
				shown(id)
			}
			return nil
		},
	})
	must(l.t, err)
	if verdict.Kind != messages.Taken {
		l.t.Fatalf("the reply was not taken: %+v", verdict)
	}
	return r.ID()
}

func (l *link) pull(t task.Task, ids ...string) *flwrpb.PullAppMessagesResponse {
	l.t.Helper()
	res, err := l.host.PullMessages(l.t.Context(), t, &flwrpb.PullAppMessagesRequest{MessageIds: ids})
	must(l.t, err)
	return full(l.t, res)
}

// rawPush and full convert between what an app sends and gets, and what the host sees of it.
func rawPush(t *testing.T, req *flwrpb.PushAppMessagesRequest) *flwrpb.RawPushAppMessagesRequest {
	t.Helper()
	return flwrtest.Recode(t, req, &flwrpb.RawPushAppMessagesRequest{})
}

func full(t *testing.T, res *flwrpb.RawPullAppMessagesResponse) *flwrpb.PullAppMessagesResponse {
	t.Helper()
	return flwrtest.Recode(t, res, &flwrpb.PullAppMessagesResponse{})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(err error) flwr.Code {
	if e, ok := errors.AsType[*flwr.Error](err); ok {
		return e.Code
	}
	return 0
}
