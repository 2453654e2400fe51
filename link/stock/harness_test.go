package stock

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// testPatience is how long a test waits for what must happen.
const testPatience = 10 * time.Second

// hub is the part of a SuperLink that a stock SuperNode meets: HTTP, a real store and real
// objects. Its ServerApp is the test.
type hub struct {
	t       testing.TB
	store   state.Store
	objects *objects.Dir
	office  *messages.Office
	url     string
}

func newHub(t testing.TB, registeredOnly bool) *hub {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "state.db"), sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() }) // some tests close it themselves
	disk, err := objects.OpenDir(filepath.Join(dir, "objects"), objects.DirOptions{})
	must(t, err)
	h := &hub{t: t, store: store, objects: disk, office: messages.New(store, disk)}
	handler := New(Config{Store: store, Objects: disk, Office: h.office, RegisteredOnly: registeredOnly})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// run creates a run with an app of its own. Its ServerApp is started if asked for.
func (h *hub) run(running bool) state.Run {
	h.t.Helper()
	run := h.runOf([]byte("an app " + rand.Text()))
	if running {
		h.startServerApp()
		var err error
		run, err = h.store.Run(h.t.Context(), run.ID)
		must(h.t, err)
	}
	return run
}

func (h *hub) runOf(app []byte) state.Run {
	h.t.Helper()
	run, err := h.store.CreateRun(h.t.Context(), state.NewRun{
		TaskType: task.TypeServerApp, FABID: "me/app", FABVersion: "1", FABHash: h.put(app),
		Verifications: map[string]string{"valid_license": "yes"}, Federation: state.FederationDefault, AccountID: state.AccountNone,
	})
	must(h.t, err)
	return run
}

func (h *hub) startServerApp() {
	h.t.Helper()
	t, _, ok, err := h.store.ClaimTask(h.t.Context(), []string{task.TypeServerApp})
	must(h.t, err)
	if !ok {
		h.t.Fatal("no task is pending")
	}
	must(h.t, h.store.ActivateTask(h.t.Context(), t.ID))
}

func (h *hub) put(content []byte) string {
	h.t.Helper()
	id := object.Sum(content)
	must(h.t, h.objects.Put(h.t.Context(), id, int64(len(content)), bytes.NewReader(content)))
	return id
}

// instruct sends a message with all its objects to a node.
func (h *hub) instruct(runID, nodeID uint64) flwrtest.Letter {
	h.t.Helper()
	m := flwrtest.NewLetter(h.t, &flwrpb.Metadata{
		RunId: runID, SrcNodeId: flwr.NodeSuperLink, DstNodeId: nodeID, MessageType: "train", GroupId: "1",
		CreatedAt: float64(time.Now().UnixMicro()) / 1e6, Ttl: 3600,
	}, "ConfigRecord", []byte(rand.Text()))
	h.send(m)
	return m
}

func (h *hub) send(m flwrtest.Letter) {
	h.t.Helper()
	runID := m.Message.GetMetadata().GetRunId()
	parsed, err := message.ParseInstruction(encode(h.t, m.Message), encode(h.t, m.Tree), message.Addressed{RunID: runID})
	must(h.t, err)
	rejected, missing, err := h.office.TakeIn(h.t.Context(), runID, []*message.Message{parsed})
	must(h.t, err)
	must(h.t, rejected[0])
	for _, id := range missing {
		content := m.Objects[id]
		stored, err := h.office.StoreObject(h.t.Context(), runID, id, int64(len(content)), bytes.NewReader(content))
		must(h.t, err)
		if !stored {
			h.t.Fatalf("object %s was not stored", id)
		}
	}
}

// answer is how the instruction stands for its ServerApp.
func (h *hub) answer(m flwrtest.Letter) state.Answer {
	h.t.Helper()
	answers, err := h.store.Answers(h.t.Context(), m.Message.GetMetadata().GetRunId(), []string{m.ID()})
	must(h.t, err)
	return answers[0]
}

func (h *hub) node(id uint64) state.Node {
	h.t.Helper()
	node, err := h.store.Node(h.t.Context(), id)
	must(h.t, err)
	return node
}

// superNode is a scripted flower-supernode.
type superNode struct {
	t   testing.TB
	url string
	key *ecdsa.PrivateKey
	pem []byte
	id  uint64
	// attempt tampers with the headers of each request before it goes out.
	attempt func(http.Header)
}

func newSuperNode(t testing.TB, h *hub) *superNode {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	return &superNode{t: t, url: h.url, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
}

// join registers and activates.
func (n *superNode) join() *superNode {
	n.t.Helper()
	registered := &flwrpb.RegisterNodeFleetResponse{}
	n.must(flwr.PathFleetRegisterNode, &flwrpb.RegisterNodeFleetRequest{PublicKey: n.pem}, registered)
	n.id = registered.GetNodeId()
	n.activate()
	return n
}

func (n *superNode) activate() {
	n.t.Helper()
	activated := &flwrpb.ActivateNodeResponse{}
	n.must(flwr.PathFleetActivateNode, &flwrpb.ActivateNodeRequest{PublicKey: n.pem, HeartbeatInterval: 30}, activated)
	if activated.GetNodeId() != n.id || n.id == 0 {
		n.t.Fatalf("activated as node %d, registered as %d", activated.GetNodeId(), n.id)
	}
}

func (n *superNode) node() *flwrpb.Node { return &flwrpb.Node{NodeId: n.id} }

func (n *superNode) sign(header http.Header, at time.Time) {
	timestamp := at.UTC().Format("2006-01-02T15:04:05.000000-07:00")
	digest := sha256.Sum256([]byte(timestamp))
	signature, err := ecdsa.SignASN1(rand.Reader, n.key, digest[:])
	must(n.t, err)
	header.Set(flwr.HeaderPublicKey, base64.StdEncoding.EncodeToString(n.pem))
	header.Set(flwr.HeaderTimestamp, timestamp)
	header.Set(flwr.HeaderSignature, base64.StdEncoding.EncodeToString(signature))
}

// call makes one signed request, which may end with any status.
func (n *superNode) call(ctx context.Context, path string, req proto.Message) (status int, body []byte, err error) {
	n.t.Helper()
	encoded, err := flwr.Marshal(req)
	must(n.t, err)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url+path, bytes.NewReader(encoded))
	must(n.t, err)
	r.Header.Set("Content-Type", flwr.TypeProtobuf)
	n.sign(r.Header, time.Now())
	if n.attempt != nil {
		n.attempt(r.Header)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// must makes a request that succeeds.
func (n *superNode) must(path string, req, res proto.Message) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), testPatience)
	defer cancel()
	status, body, err := n.call(ctx, path, req)
	must(n.t, err)
	if status != http.StatusOK {
		n.t.Fatalf("%s: %d %s", path, status, body)
	}
	must(n.t, proto.Unmarshal(body, res))
}

// refused makes a request that fails, and returns the answer as text.
func (n *superNode) refused(path string, req proto.Message) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), testPatience)
	defer cancel()
	status, body, err := n.call(ctx, path, req)
	must(n.t, err)
	return fmt.Sprint(status, " ", string(body))
}

func (n *superNode) pull() *flwrpb.PullMessagesResponse {
	n.t.Helper()
	res := &flwrpb.PullMessagesResponse{}
	n.must(flwr.PathFleetPullMessages, &flwrpb.PullMessagesRequest{Node: n.node()}, res)
	return res
}

// pullID pulls and returns the id of the message that came.
func (n *superNode) pullID() string {
	n.t.Helper()
	res := n.pull()
	if len(res.GetMessagesList()) != 1 || len(res.GetMessageObjectTrees()) != 1 {
		n.t.Fatalf("%d messages with %d trees", len(res.GetMessagesList()), len(res.GetMessageObjectTrees()))
	}
	return res.GetMessagesList()[0].GetMetadata().GetMessageId()
}

func (n *superNode) pullObject(runID uint64, id string) *flwrpb.PullObjectResponse {
	n.t.Helper()
	res := &flwrpb.PullObjectResponse{}
	n.must(flwr.PathFleetPullObject, &flwrpb.PullObjectRequest{Node: n.node(), RunId: runID, ObjectId: id}, res)
	return res
}

func (n *superNode) confirm(runID uint64, id string) {
	n.t.Helper()
	n.must(flwr.PathFleetConfirmMessageReceived,
		&flwrpb.ConfirmMessageReceivedRequest{Node: n.node(), RunId: runID, MessageObjectId: id}, &flwrpb.ConfirmMessageReceivedResponse{})
}

// reply makes the answer to an instruction.
func (n *superNode) reply(to *flwrpb.Metadata) flwrtest.Letter {
	n.t.Helper()
	return flwrtest.NewLetter(n.t, object.ReplyTo(to, time.Now()), "MetricRecord", []byte(rand.Text()))
}

func (n *superNode) push(m flwrtest.Letter) *flwrpb.PushMessagesResponse {
	n.t.Helper()
	res := &flwrpb.PushMessagesResponse{}
	n.must(flwr.PathFleetPushMessages, n.pushRequest(m), res)
	return res
}

func (n *superNode) pushRequest(m flwrtest.Letter) *flwrpb.PushMessagesRequest {
	return &flwrpb.PushMessagesRequest{
		Node: n.node(), MessagesList: []*flwrpb.Message{m.Message}, MessageObjectTrees: []*flwrpb.ObjectTree{m.Tree},
		ClientappRuntimeList: []float64{1.5},
	}
}

func (n *superNode) pushObject(runID uint64, id string, content []byte) (stored bool) {
	n.t.Helper()
	res := &flwrpb.PushObjectResponse{}
	n.must(flwr.PathFleetPushObject, &flwrpb.PushObjectRequest{
		Node: n.node(), RunId: runID, ObjectId: id, ObjectContent: content, SessionId: "a session",
	}, res)
	return res.GetStored()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
