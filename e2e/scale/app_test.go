package scale

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/fab/fabtest"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// serverApp talks to a link's Runtime API as flwr-serverapp does.
type serverApp struct {
	t     *testing.T
	ctx   context.Context
	base  string
	http  *http.Client
	token string
	run   uint64
}

// startServerApp submits a run and takes its task, as a SuperExec does.
func startServerApp(t *testing.T, ctx context.Context, address string) *serverApp {
	t.Helper()
	bundle := fabtest.App(t, "")
	a := &serverApp{t: t, ctx: ctx, base: "http://" + address, http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(a.http.CloseIdleConnections)
	var started flwrpb.StartRunResponse
	a.call(flwr.PathStartRun, &flwrpb.StartRunRequest{
		Fab: &flwrpb.Fab{HashStr: object.Sum(bundle), Content: bundle},
	}, &started)
	a.run = started.GetRunId()
	var acquired flwrpb.AcquireTaskResponse
	a.call(flwr.PathAcquireTask, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp}}, &acquired)
	a.token = acquired.GetToken()
	a.call(flwr.PathPullTaskInput, &flwrpb.PullTaskInputRequest{}, &flwrpb.PullTaskInputResponse{})
	return a
}

func (a *serverApp) nodes() []uint64 {
	var res flwrpb.GetNodesResponse
	a.call(flwr.PathGetNodes, &flwrpb.GetNodesRequest{}, &res)
	ids := make([]uint64, len(res.GetNodes()))
	for i, node := range res.GetNodes() {
		ids[i] = node.GetNodeId()
	}
	return ids
}

// push sends one instruction to each node, all with the same content.
func (a *serverApp) push(nodes []uint64) (messages []string) {
	a.t.Helper()
	content, contentID, err := object.Build("RecordDict", nil, []byte("{}"))
	if err != nil {
		a.t.Fatal(err)
	}
	objects := map[string][]byte{contentID: content}
	req := &flwrpb.PushAppMessagesRequest{}
	now := float64(time.Now().Unix())
	for _, node := range nodes {
		msg := &flwrpb.Message{Content: []byte{}, Metadata: &flwrpb.Metadata{
			RunId: a.run, SrcNodeId: flwr.NodeSuperLink, DstNodeId: node, GroupId: "1", MessageType: "query", Ttl: 3600, CreatedAt: now,
		}}
		raw, id, err := object.BuildMessage(msg, contentID)
		if err != nil {
			a.t.Fatal(err)
		}
		msg.Metadata.MessageId, objects[id] = id, raw
		messages = append(messages, id)
		req.MessagesList = append(req.MessagesList, msg)
		req.MessageObjectTrees = append(req.MessageObjectTrees, &flwrpb.ObjectTree{
			ObjectId: id, Children: []*flwrpb.ObjectTree{{ObjectId: contentID}},
		})
	}
	var res flwrpb.PushAppMessagesResponse
	a.call(flwr.PathPushMessages, req, &res)
	if len(res.GetObjectsToPush()) != len(objects) {
		a.t.Fatalf("the link asks for %d objects, want %d: each once", len(res.GetObjectsToPush()), len(objects))
	}
	for _, id := range res.GetObjectsToPush() {
		a.call(flwr.PathPushObject, &flwrpb.PushObjectRequest{
			Node: &flwrpb.Node{NodeId: flwr.NodeSuperLink}, RunId: a.run, ObjectId: id, ObjectContent: objects[id], SessionId: res.GetSessionId(),
		}, &flwrpb.PushObjectResponse{})
	}
	return messages
}

// pull asks until everything is answered, as send_and_receive does but without its sleep, and
// returns the instructions that the answers belong to.
func (a *serverApp) pull(messages []string) (answered []string) {
	a.t.Helper()
	open := make(map[string]bool, len(messages))
	for _, id := range messages {
		open[id] = true
	}
	for len(open) > 0 {
		req := &flwrpb.PullAppMessagesRequest{}
		for id := range open {
			req.MessageIds = append(req.MessageIds, id)
		}
		var res flwrpb.PullAppMessagesResponse
		a.call(flwr.PathPullMessages, req, &res)
		for _, msg := range res.GetMessagesList() {
			if msg.GetError() != nil {
				a.t.Fatalf("a reply carries an error: %v", msg.GetError())
			}
			to := msg.GetMetadata().GetReplyToMessageId()
			answered = append(answered, to)
			delete(open, to)
		}
	}
	return answered
}

func (a *serverApp) finish() {
	a.call(flwr.PathPushTaskOutput, &flwrpb.PushTaskOutputRequest{SubStatus: string(task.Completed)}, &flwrpb.PushTaskOutputResponse{})
	a.http.CloseIdleConnections()
}

func (a *serverApp) call(path string, msg, into proto.Message) {
	a.t.Helper()
	if err := a.post(path, msg, into); err != nil {
		a.t.Fatal(err)
	}
}

func (a *serverApp) post(path string, msg, into proto.Message) error {
	body, err := proto.Marshal(msg)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(a.ctx, http.MethodPost, a.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", flwr.TypeProtobuf)
	req.Header.Set("Accept", flwr.TypeProtobuf)
	if a.token != "" {
		req.Header.Set(flwr.HeaderTaskToken, a.token)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, res.Status, answer)
	}
	return proto.Unmarshal(answer, into)
}
