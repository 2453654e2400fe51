package node_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// app speaks the Runtime API over HTTP, as a SuperExec and its ClientApp do.
type app struct {
	t       testing.TB
	address string
	token   string
	taskID  uint64
}

// call posts a request; a nil response is only for answers other than 200.
func (a *app) call(path string, req, res proto.Message) int {
	a.t.Helper()
	body, err := proto.Marshal(req)
	if err != nil {
		a.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.address+"/v1/runtime/"+path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("content-type", "application/protobuf")
	if a.token != "" {
		r.Header.Set("flwr-task-token", a.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatalf("%s: %v", path, err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		a.t.Fatalf("%s: %v", path, err)
	}
	if answer.StatusCode != http.StatusOK {
		if res != nil {
			a.t.Fatalf("%s: %s: %s", path, answer.Status, content)
		}
		return answer.StatusCode
	}
	if res != nil {
		if err := proto.Unmarshal(content, res); err != nil {
			a.t.Fatalf("%s: %v", path, err)
		}
	}
	return answer.StatusCode
}

// acquire waits for a task.
func acquire(t testing.TB, address string) *app {
	t.Helper()
	a := &app{t: t, address: address}
	var res flwrpb.AcquireTaskResponse
	a.call("acquire-task", &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeClientApp}}, &res)
	if res.GetToken() == "" {
		t.Fatal("no task")
	}
	a.token, a.taskID = res.GetToken(), res.GetTask().GetTaskId()
	return a
}

// work does what flwr-clientapp does, up to the end of its task, and returns the reply.
func (a *app) work(m nodetest.Message, blobs nodetest.Blobs) nodetest.Message {
	a.t.Helper()
	var alive flwrpb.SendTaskHeartbeatResponse
	a.call("send-task-heartbeat", &flwrpb.SendTaskHeartbeatRequest{}, &alive)
	var in flwrpb.PullTaskInputResponse
	a.call("pull-task-input", &flwrpb.PullTaskInputRequest{}, &in)
	var pulled flwrpb.PullAppMessagesResponse
	a.call("pull-messages", &flwrpb.PullAppMessagesRequest{}, &pulled)
	if !alive.GetSuccess() || in.GetTaskId() != a.taskID || len(pulled.GetMessagesList()) != 1 ||
		pulled.GetMessagesList()[0].GetMetadata().GetMessageId() != m.ID {
		a.t.Fatalf("alive %v, input of task %d, messages %v", alive.GetSuccess(), in.GetTaskId(), pulled.GetMessagesList())
	}
	for _, id := range m.Objects {
		var object flwrpb.PullObjectResponse
		a.call("pull-object", &flwrpb.PullObjectRequest{RunId: in.GetRun().GetRunId(), ObjectId: id}, &object)
		if !object.GetObjectFound() || !object.GetObjectAvailable() || len(object.GetObjectContent()) == 0 {
			a.t.Fatalf("object %s: found %v, %d bytes", id, object.GetObjectFound(), len(object.GetObjectContent()))
		}
	}
	a.call("confirm-message-received", &flwrpb.ConfirmMessageReceivedRequest{MessageObjectId: m.ID}, &flwrpb.ConfirmMessageReceivedResponse{})

	r := m.Reply(a.t, blobs, "result")
	var pushed flwrpb.PushAppMessagesResponse
	a.call("push-messages", &flwrpb.PushAppMessagesRequest{
		MessagesList: []*flwrpb.Message{r.Proto}, MessageObjectTrees: []*flwrpb.ObjectTree{r.Tree},
	}, &pushed)
	for _, id := range pushed.GetObjectsToPush() {
		var stored flwrpb.PushObjectResponse
		a.call("push-object", &flwrpb.PushObjectRequest{
			RunId: in.GetRun().GetRunId(), ObjectId: id, ObjectContent: blobs[id], SessionId: pushed.GetSessionId(),
		}, &stored)
		if !stored.GetStored() {
			a.t.Fatalf("object %s of the reply was not stored", id)
		}
	}
	return r
}

func (a *app) output(state []byte) {
	a.t.Helper()
	a.call("push-task-output", &flwrpb.PushTaskOutputRequest{Context: state, SubStatus: "completed"}, &flwrpb.PushTaskOutputResponse{})
}
