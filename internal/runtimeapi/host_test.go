package runtimeapi_test

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

const (
	goodToken   = "good"
	brokenToken = "broken" // the store cannot look it up now
)

var errBroken = errors.New("the store is broken")

// scripted is a Host that records what it is asked and answers as it was told to.
type scripted struct {
	mu    sync.Mutex
	calls []string
	task  task.Task

	err    error                           // of every method
	wait   func(ctx context.Context) error // of methods that may wait
	object runtimeapi.Object
	push   runtimeapi.ObjectPush
	pushed []byte
	exit   task.Exit
	// readNothing makes PushObject leave the body unread, which a Host must not do.
	readNothing bool
}

func newScripted() *scripted { return &scripted{task: task.Task{ID: 7, RunID: 9}} }

// fail sets the error of every method.
func (h *scripted) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// count returns the number of calls of all methods.
func (h *scripted) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls)
}

func (h *scripted) called(name string, t task.Task) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, name)
	if t.ID != h.task.ID {
		return errors.New("the task belongs to somebody else")
	}
	return h.err
}

func (h *scripted) waited(ctx context.Context, name string, t task.Task) error {
	if err := h.called(name, t); err != nil {
		return err
	}
	if h.wait == nil {
		return nil
	}
	return h.wait(ctx)
}

func (h *scripted) Authenticate(_ context.Context, token string) (task.Task, error) {
	switch token {
	case goodToken:
		return h.task, nil
	case brokenToken:
		return task.Task{}, errBroken
	}
	return task.Task{}, task.ErrUnknownToken
}

func (h *scripted) AcquireTask(ctx context.Context, req *flwrpb.AcquireTaskRequest) (*flwrpb.AcquireTaskResponse, error) {
	err := h.waited(ctx, "AcquireTask", h.task)
	return &flwrpb.AcquireTaskResponse{Task: &flwrpb.Task{TaskId: 7, Type: req.GetSupportedTaskTypes()[0]}, Token: goodToken}, err
}

func (h *scripted) Heartbeat(_ context.Context, t task.Task) (bool, error) {
	return true, h.called("Heartbeat", t)
}

func (h *scripted) PullTaskInput(ctx context.Context, t task.Task) (*flwrpb.PullTaskInputResponse, error) {
	return &flwrpb.PullTaskInputResponse{TaskId: t.ID, Context: []byte{}}, h.waited(ctx, "PullTaskInput", t)
}

func (h *scripted) PushTaskOutput(_ context.Context, t task.Task, _ *flwrpb.PushTaskOutputRequest) error {
	return h.called("PushTaskOutput", t)
}

func (h *scripted) PushMessages(_ context.Context, t task.Task, req *flwrpb.RawPushAppMessagesRequest) (*flwrpb.PushAppMessagesResponse, error) {
	return &flwrpb.PushAppMessagesResponse{MessageIds: make([]string, len(req.GetMessages()))}, h.called("PushMessages", t)
}

func (h *scripted) PullMessages(ctx context.Context, t task.Task, req *flwrpb.PullAppMessagesRequest) (*flwrpb.RawPullAppMessagesResponse, error) {
	res := &flwrpb.RawPullAppMessagesResponse{}
	for _, id := range req.GetMessageIds() {
		tree, err := proto.Marshal(&flwrpb.ObjectTree{ObjectId: id})
		if err != nil {
			return nil, err
		}
		res.Trees = append(res.Trees, tree)
	}
	return res, h.waited(ctx, "PullMessages", t)
}

func (h *scripted) ConfirmMessageReceived(_ context.Context, t task.Task, _ *flwrpb.ConfirmMessageReceivedRequest) error {
	return h.called("ConfirmMessageReceived", t)
}

func (h *scripted) PushObject(_ context.Context, t task.Task, push runtimeapi.ObjectPush, body io.Reader) (bool, error) {
	if err := h.called("PushObject", t); err != nil {
		return false, err
	}
	h.push = push
	if h.readNothing {
		return false, nil
	}
	h.pushed = make([]byte, push.Size)
	_, err := io.ReadFull(body, h.pushed)
	return true, err
}

func (h *scripted) PullObject(ctx context.Context, t task.Task, _ *flwrpb.PullObjectRequest) (runtimeapi.Object, error) {
	return h.object, h.waited(ctx, "PullObject", t)
}

func (h *scripted) GetNodes(_ context.Context, t task.Task) (*flwrpb.GetNodesResponse, error) {
	return &flwrpb.GetNodesResponse{Nodes: []*flwrpb.NodeInfo{{NodeId: 3}}}, h.called("GetNodes", t)
}

func (h *scripted) PushLogs(_ context.Context, t task.Task, _ *flwrpb.PushLogsRequest) error {
	return h.called("PushLogs", t)
}

func (h *scripted) AwaitTaskEnd(ctx context.Context, t task.Task) error {
	return h.waited(ctx, "AwaitTaskEnd", t)
}

func (h *scripted) ReportExit(_ context.Context, t task.Task, exit task.Exit) error {
	h.exit = exit
	return h.called("ReportExit", t)
}
