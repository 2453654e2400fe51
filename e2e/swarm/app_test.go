//go:build linux

package swarm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/fab/fabtest"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// chunk is the size into which Flower cuts arrays.
const chunk = 5 << 20

// app is a run whose ServerApp is played by the test.
type app struct {
	f      *federation
	client http.Client
	runID  uint64
	token  string
}

// begin starts a run as flwr does, and takes its task as a SuperExec and a ServerApp do.
func (f *federation) begin() *app {
	f.t.Helper()
	a := &app{f: f}
	a.client.Transport = &http.Transport{DialContext: func(_ context.Context, network, addr string) (conn net.Conn, err error) {
		err = f.lab.In("hub", func() (err error) { conn, err = net.Dial(network, addr); return err })
		return conn, err
	}}
	f.t.Cleanup(a.client.CloseIdleConnections)
	var started flwrpb.StartRunResponse
	a.call(flwr.PathStartRun, &flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: fabtest.App(f.t, "")}}, &started)
	a.runID = started.GetRunId()
	var task flwrpb.AcquireTaskResponse
	a.call(flwr.PathAcquireTask, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{"flwr-serverapp"}}, &task)
	a.token = task.GetToken()
	a.call(flwr.PathSendTaskHeartbeat, &flwrpb.SendTaskHeartbeatRequest{}, &flwrpb.SendTaskHeartbeatResponse{})
	a.call(flwr.PathPullTaskInput, &flwrpb.PullTaskInputRequest{}, &flwrpb.PullTaskInputResponse{})
	return a
}

func (a *app) call(path string, req, res proto.Message) {
	a.f.t.Helper()
	body, err := proto.Marshal(req)
	if err != nil {
		a.f.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(a.f.t.Context(), http.MethodPost, "http://127.0.0.1:8000"+path, bytes.NewReader(body))
	if err != nil {
		a.f.t.Fatal(err)
	}
	r.Header.Set("content-type", "application/protobuf")
	if a.token != "" {
		r.Header.Set("flwr-task-token", a.token)
	}
	answer, err := a.client.Do(r)
	if err != nil {
		a.f.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		a.f.t.Fatalf("%s: %s %s %v", path, answer.Status, content, err)
	}
	if err := proto.Unmarshal(content, res); err != nil {
		a.f.t.Fatal(err)
	}
}

// model is the content of messages, in Flower's form.
type model struct {
	objects map[string][]byte
	tree    *flwrpb.ObjectTree
	size    int
}

// newModel makes a model of this many bytes, which no line can compress.
func newModel(size int) *model {
	m := &model{objects: make(map[string][]byte), size: size}
	var chunks []*flwrpb.ObjectTree
	for left := size; left > 0; left -= chunk {
		content := make([]byte, min(left, chunk))
		for i := range content {
			content[i] = byte(rand.Uint32())
		}
		chunks = append(chunks, m.add("ArrayChunk", content))
	}
	array := m.add("Array", fmt.Appendf(nil, `{"chunks": %d}`, len(chunks)), chunks...)
	m.tree = m.add("ArrayRecord", []byte(`{}`), array)
	return m
}

func (m *model) add(kind string, body []byte, children ...*flwrpb.ObjectTree) *flwrpb.ObjectTree {
	ids := make([]string, len(children))
	for i, child := range children {
		ids[i] = child.GetObjectId()
	}
	content, id, err := object.Build(kind, ids, body)
	if err != nil {
		panic(err)
	}
	m.objects[id] = content
	return &flwrpb.ObjectTree{ObjectId: id, Children: children}
}

// push sends a model to nodes, as send_and_receive does, and returns when the link had the
// last object.
func (a *app) push(m *model, to ...*daemon) time.Time {
	a.f.t.Helper()
	req := &flwrpb.PushAppMessagesRequest{}
	objects := make(map[string][]byte)
	maps.Copy(objects, m.objects)
	for _, node := range to {
		md := &flwrpb.Metadata{
			RunId: a.runID, SrcNodeId: 1, DstNodeId: node.status().NodeID, GroupId: "1", MessageType: "train",
			Ttl: 3600, CreatedAt: float64(time.Now().UnixMicro()) / 1e6,
		}
		msg := &flwrpb.Message{Metadata: md, Content: []byte{}}
		content, id, err := object.BuildMessage(msg, m.tree.GetObjectId())
		if err != nil {
			a.f.t.Fatal(err)
		}
		md.MessageId, objects[id] = id, content
		req.MessagesList = append(req.MessagesList, msg)
		req.MessageObjectTrees = append(req.MessageObjectTrees, &flwrpb.ObjectTree{ObjectId: id, Children: []*flwrpb.ObjectTree{m.tree}})
	}
	var pushed flwrpb.PushAppMessagesResponse
	a.call(flwr.PathPushMessages, req, &pushed)
	for _, id := range pushed.GetObjectsToPush() {
		var stored flwrpb.PushObjectResponse
		a.call(flwr.PathPushObject, &flwrpb.PushObjectRequest{
			Node: &flwrpb.Node{NodeId: flwr.NodeSuperLink}, RunId: a.runID, ObjectId: id, ObjectContent: objects[id], SessionId: pushed.GetSessionId(),
		}, &stored)
		if !stored.GetStored() {
			a.f.t.Fatalf("object %s was not stored", id)
		}
	}
	return time.Now()
}

// arrive waits until each node has this many messages.
func (a *app) arrive(messages int, at ...*daemon) {
	a.f.t.Helper()
	for _, node := range at {
		a.f.await(node.name+" has its message", func() bool { return node.status().queued() == messages })
	}
}
