package runtimeapi

import (
	"context"
	"io"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Host is what a SuperLink or a SuperNode provides to the Runtime API: one method per route.
//
// Errors are answered by flwr.WriteError: a *flwr.Error as it is, anything else as 503, so
// that a client tries again. Methods marked "may wait" are called with a context that ends
// when the client leaves or when the server stops; while they wait the server keeps the
// request alive with interim responses. All methods may be called concurrently.
type Host interface {
	// Authenticate resolves a task token. task.ErrUnknownToken becomes 401 code 1008.
	Authenticate(ctx context.Context, token string) (task.Task, error)

	// AcquireTask claims the oldest pending task of one of the types. May wait; an empty
	// response means that there is nothing for now.
	AcquireTask(ctx context.Context, req *flwrpb.AcquireTaskRequest) (*flwrpb.AcquireTaskResponse, error)
	// Heartbeat extends the life of a running task.
	Heartbeat(ctx context.Context, t task.Task) (success bool, err error)
	// PullTaskInput starts the task; repeated with the same token, it returns the same answer.
	// May wait (a process may have been started ahead of its task).
	PullTaskInput(ctx context.Context, t task.Task) (*flwrpb.PullTaskInputResponse, error)
	// PushTaskOutput ends the task and keeps its context, durably, before it returns.
	PushTaskOutput(ctx context.Context, t task.Task, req *flwrpb.PushTaskOutputRequest) error

	// PushMessages stores messages of the app and names the objects that are missing.
	PushMessages(ctx context.Context, t task.Task, req *flwrpb.RawPushAppMessagesRequest) (*flwrpb.PushAppMessagesResponse, error)
	// PullMessages returns the messages that have arrived for the app. May wait.
	PullMessages(ctx context.Context, t task.Task, req *flwrpb.PullAppMessagesRequest) (*flwrpb.RawPullAppMessagesResponse, error)
	// ConfirmMessageReceived ends the lease on a pulled message.
	ConfirmMessageReceived(ctx context.Context, t task.Task, req *flwrpb.ConfirmMessageReceivedRequest) error
	// PushObject stores one object from body, durably, before it returns. It must read
	// body to its end or return an error. stored=false means that nobody waits for the object
	// or that the bytes do not match the id.
	PushObject(ctx context.Context, t task.Task, push ObjectPush, body io.Reader) (stored bool, err error)
	// PullObject opens an object of the task's run. May wait while an announced object has
	// not arrived yet. The caller closes Content.
	PullObject(ctx context.Context, t task.Task, req *flwrpb.PullObjectRequest) (Object, error)

	// GetNodes lists the nodes that a ServerApp may address; a SuperNode answers 403 code 3005.
	GetNodes(ctx context.Context, t task.Task) (*flwrpb.GetNodesResponse, error)
	// PushLogs keeps log lines of the task, at most a few MiB; the task may have ended a
	// moment ago.
	PushLogs(ctx context.Context, t task.Task, req *flwrpb.PushLogsRequest) error

	// AwaitTaskEnd waits until somebody other than the app has ended the task (stop, cancel,
	// expiry), and then returns nil. May wait. It is Rhizome's own route; see [task.PathAwaitTaskEnd].
	AwaitTaskEnd(ctx context.Context, t task.Task) error
	// ReportExit says that the process of the task has ended. If the task is not finished,
	// the host ends it now, for the reason that exit gives.
	ReportExit(ctx context.Context, t task.Task, exit task.Exit) error
}

// ObjectPush is the head of a push-object request; the content follows as a stream.
type ObjectPush struct {
	NodeID   uint64
	RunID    uint64
	ObjectID string
	// SessionID is empty if it comes after the content on the wire, where Flower's clients
	// put it, so nothing may depend on it.
	SessionID string
	// Size of the content in bytes.
	Size int64
}

// Object is an object that is being served.
type Object struct {
	// Found is false when the run has no such object: the client gives up.
	Found bool
	// Content is nil if the object has not arrived yet: the client tries again.
	Content io.ReadSeekCloser
	// Size of Content in bytes.
	Size int64
}
