package apps

import (
	"context"
	"errors"
	"time"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/node/appconfig"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

var log = logs.For("node/apps")

// Config is what a Host works with.
type Config struct {
	// Office has the messages that apps work on.
	Office *messages.Office
	Store  *state.Store
	// NodeConfig is what the operator passes to every ClientApp.
	NodeConfig appconfig.Config
	// ShareLogs takes the output of apps; nil if that stays at this site.
	ShareLogs func(runID uint64, lines []string)
}

// Host serves the apps of one node. Its methods may be called concurrently.
type Host struct {
	cfg Config
}

var _ runtimeapi.Host = (*Host)(nil)

// New makes a Host. [Host.Run] must be running while it serves.
func New(cfg Config) *Host {
	return &Host{cfg: cfg}
}

// Run ends overdue tasks until ctx ends.
func (h *Host) Run(ctx context.Context) {
	watch := h.cfg.Store.Bell().Watch(state.KeyDeadline())
	defer watch.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-watch.C:
		case <-timer.C:
		}
		next, err := h.cfg.Store.Expire(ctx, time.Now())
		switch {
		case err != nil && ctx.Err() == nil:
			log.Error("overdue tasks could not be ended", "err", err)
			timer.Reset(retryExpiry)
		case next.IsZero():
			timer.Stop()
		default:
			timer.Reset(time.Until(next))
		}
	}
}

// Authenticate resolves a task token.
func (h *Host) Authenticate(ctx context.Context, token string) (task.Task, error) {
	return h.cfg.Store.TaskByToken(ctx, token)
}

// AcquireTask waits for a message and a free slot.
func (h *Host) AcquireTask(ctx context.Context, req *flwrpb.AcquireTaskRequest) (*flwrpb.AcquireTaskResponse, error) {
	t, token, ok, err := h.cfg.Office.Lease(ctx, req.GetSupportedTaskTypes())
	if err != nil || !ok {
		return &flwrpb.AcquireTaskResponse{}, err
	}
	return &flwrpb.AcquireTaskResponse{Task: taskProto(t), Token: token}, nil
}

// Heartbeat extends the life of a running task.
func (h *Host) Heartbeat(ctx context.Context, t task.Task) (bool, error) {
	return h.cfg.Store.Heartbeat(ctx, t.ID)
}

// GetNodes is for ServerApps.
func (h *Host) GetNodes(context.Context, task.Task) (*flwrpb.GetNodesResponse, error) {
	return nil, flwr.NewError(flwr.CodeEndpointUnavailable)
}

// PushLogs passes the output of apps on if this site shares it.
func (h *Host) PushLogs(_ context.Context, t task.Task, req *flwrpb.PushLogsRequest) error {
	if h.cfg.ShareLogs != nil {
		h.cfg.ShareLogs(t.RunID, req.GetLogs())
	}
	return nil
}

// AwaitTaskEnd waits until the task is ended from outside: its run was cancelled, or it was given up.
func (h *Host) AwaitTaskEnd(ctx context.Context, t task.Task) error {
	watch := h.cfg.Store.Bell().Watch(state.KeyTask(t.ID))
	defer watch.Close()
	for {
		now, err := h.cfg.Store.Task(ctx, t.ID)
		switch {
		case errors.Is(err, task.ErrNotFound):
			return nil
		case err != nil:
			return err
		case now.Status == task.Finished && now.SubStatus != task.Completed:
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-watch.C:
		}
	}
}

// taskProto returns the task as Flower's Runtime API shows it.
func taskProto(t task.Task) *flwrpb.Task {
	return &flwrpb.Task{
		TaskId:     t.ID,
		Type:       t.Type,
		RunId:      t.RunID,
		Status:     &flwrpb.TaskStatus{Status: string(t.Status), SubStatus: string(t.SubStatus), Details: t.Details},
		PendingAt:  timestamp(t.PendingAt),
		StartingAt: timestamp(t.StartingAt),
		RunningAt:  timestamp(t.RunningAt),
		FinishedAt: timestamp(t.FinishedAt),
		FabHash:    &t.FABHash,
	}
}

// timestamp formats times as Flower does; the zero time is empty.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000+00:00")
}
