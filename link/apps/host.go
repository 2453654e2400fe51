package apps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

var log = logs.For("link/apps")

// Host is the SuperLink's [runtime.Host].
type Host struct {
	store   state.Store
	objects objects.Store
	office  *messages.Office
	pacer   *pacer
	errors  *errorReplies
	waiters *waiters
}

var _ runtimeapi.Host = (*Host)(nil)

// New makes the host of a SuperLink. It need not be closed: whoever stops the server ends the
// contexts of the calls.
func New(store state.Store, objectStore objects.Store, office *messages.Office) *Host {
	return &Host{
		store: store, objects: objectStore, office: office,
		pacer: newPacer(), errors: newErrorReplies(), waiters: newWaiters(),
	}
}

// RunEnded drops what is remembered for a run and its primary task.
func (h *Host) RunEnded(runID, taskID uint64) {
	h.pacer.forget(taskID)
	h.errors.dropRun(runID)
}

// Authenticate resolves a task token.
func (h *Host) Authenticate(ctx context.Context, token string) (task.Task, error) {
	return h.store.TaskByToken(ctx, token)
}

// AcquireTask waits for a pending task and claims it.
func (h *Host) AcquireTask(ctx context.Context, req *flwrpb.AcquireTaskRequest) (*flwrpb.AcquireTaskResponse, error) {
	watch := h.store.Bell().Watch(state.KeyPendingTask())
	defer watch.Close()
	limit := time.NewTimer(acquireHold)
	defer limit.Stop()
	for {
		t, token, ok, err := h.store.ClaimTask(ctx, req.GetSupportedTaskTypes())
		if err != nil {
			return nil, fmt.Errorf("claim a task: %w", err)
		}
		if ok && ctx.Err() != nil {
			// Nobody reads the answer any more, and another SuperExec need not wait for the claim to expire.
			return nil, errors.Join(ctx.Err(), h.store.ReleaseTask(context.WithoutCancel(ctx), t.ID))
		}
		if ok {
			return &flwrpb.AcquireTaskResponse{Task: taskProto(t), Token: token}, nil
		}
		select {
		case <-watch.C:
		case <-limit.C:
			return &flwrpb.AcquireTaskResponse{}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func taskProto(t task.Task) *flwrpb.Task {
	p := &flwrpb.Task{
		TaskId: t.ID, Type: t.Type, RunId: t.RunID,
		Status:    &flwrpb.TaskStatus{Status: string(t.Status), SubStatus: string(t.SubStatus), Details: t.Details},
		PendingAt: state.ISOTime(t.PendingAt), StartingAt: state.ISOTime(t.StartingAt),
		RunningAt: state.ISOTime(t.RunningAt), FinishedAt: state.ISOTime(t.FinishedAt),
	}
	if t.FABHash != "" {
		p.FabHash = &t.FABHash
	}
	return p
}

// Heartbeat extends the life of a running task.
func (h *Host) Heartbeat(ctx context.Context, t task.Task) (bool, error) {
	return h.store.HeartbeatTask(ctx, t.ID)
}

// GetNodes lists the nodes that are online.
func (h *Host) GetNodes(ctx context.Context, _ task.Task) (*flwrpb.GetNodesResponse, error) {
	nodes, err := h.store.OnlineNodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list online nodes: %w", err)
	}
	res := &flwrpb.GetNodesResponse{Nodes: make([]*flwrpb.NodeInfo, len(nodes))}
	for i, n := range nodes {
		res.Nodes[i] = n.Proto()
	}
	return res, nil
}

// PushLogs keeps log lines of the run.
func (h *Host) PushLogs(ctx context.Context, t task.Task, req *flwrpb.PushLogsRequest) error {
	if len(req.GetLogs()) == 0 {
		return nil
	}
	return h.store.AppendLogs(ctx, t.RunID, time.Now(), req.GetLogs())
}

// gone is the answer to an app whose task was ended: it makes the process exit.
func gone() error { return flwr.NewError(flwr.CodeAuthenticationFailed) }

// unlessGone turns the errors of an ended task into the one that makes its app exit.
func unlessGone(err error) error {
	if errors.Is(err, task.ErrFinished) || errors.Is(err, state.ErrRunFinished) || errors.Is(err, task.ErrNotFound) {
		return gone()
	}
	return err
}
