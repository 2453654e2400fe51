package apps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/fab"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// PullTaskInput starts the task and gives the ServerApp its context, run and app.
func (h *Host) PullTaskInput(ctx context.Context, t task.Task) (*flwrpb.PullTaskInputResponse, error) {
	err := h.store.ActivateTask(ctx, t.ID)
	switch {
	case errors.Is(err, task.ErrFinished), errors.Is(err, task.ErrNotFound), errors.Is(err, task.ErrNotClaimed):
		return nil, flwr.NewError(flwr.CodeTaskStartFailed)
	case err != nil:
		return nil, fmt.Errorf("start task %d: %w", t.ID, err)
	}
	run, err := h.store.Run(ctx, t.RunID)
	if err != nil {
		return nil, fmt.Errorf("read run %d: %w", t.RunID, err)
	}
	seriesContext, err := h.store.SeriesContext(ctx, run.SeriesID)
	if err != nil {
		return nil, fmt.Errorf("read the context of run series %d: %w", run.SeriesID, err)
	}
	content, err := h.readFAB(run.FABHash)
	if err != nil {
		return nil, h.withoutFAB(ctx, run, err)
	}
	return &flwrpb.PullTaskInputResponse{
		Context: contextOfRun(seriesContext, run.ID),
		Run:     run.Proto(),
		Fab:     &flwrpb.Fab{HashStr: run.FABHash, Content: content, Verifications: run.Verifications},
		TaskId:  t.ID,
	}, nil
}

// contextOfRun sets the run id in a serialized Context, which a later run of a series finds as the
// earlier one left it. In protobuf the last occurrence of a field counts, so nothing of the context
// needs to be understood.
func contextOfRun(serialized []byte, runID uint64) []byte {
	const runIDField = 1
	own := slices.Clip(serialized)
	own = protowire.AppendTag(own, runIDField, protowire.VarintType)
	return protowire.AppendVarint(own, runID)
}

func (h *Host) readFAB(hash string) ([]byte, error) {
	file, err := h.objects.Open(hash)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if file.Size() > fab.MaxSize {
		return nil, fmt.Errorf("%d bytes are more than a FAB may have", file.Size())
	}
	return io.ReadAll(file)
}

// withoutFAB decides what becomes of a run whose app could not be read: nobody will bring it
// again, so if it is lost the run has failed.
func (h *Host) withoutFAB(ctx context.Context, run state.Run, why error) error {
	lost := errors.Is(why, objects.ErrCorrupt) ||
		errors.Is(why, objects.ErrNotFound) && time.Since(run.PrimaryTask.PendingAt) > fabGrace
	why = fmt.Errorf("read the FAB of run %d: %w", run.ID, why)
	if !lost {
		return why
	}
	log.Error("the app of a run is lost; the run has failed", "run", run.ID, "err", why)
	err := h.store.FinishRun(ctx, run.ID, task.Failed,
		"the app is damaged or lost on the SuperLink's disk; check that disk, and start the run again")
	if err != nil && !errors.Is(err, state.ErrRunFinished) {
		return errors.Join(why, err)
	}
	return gone()
}

// PushTaskOutput ends the run as its ServerApp says, and keeps the context of the series.
func (h *Host) PushTaskOutput(ctx context.Context, t task.Task, req *flwrpb.PushTaskOutputRequest) error {
	sub, details := task.SubStatus(req.GetSubStatus()), req.GetDetails()
	switch sub {
	case task.Completed, task.Failed, task.Stopped:
	default:
		sub, details = task.Failed, fmt.Sprintf("the ServerApp ended with the unknown status %q", req.GetSubStatus())
	}
	clientApp := time.Duration(req.GetClientappRuntime() * float64(time.Second))
	h.waiters.setOwn(t.ID, true)
	err := h.store.FinishTaskWithContext(ctx, t.ID, sub, details, req.GetContext(), clientApp)
	if errors.Is(err, task.ErrFinished) || errors.Is(err, state.ErrRunFinished) {
		return nil // a repetition: the answer was lost
	}
	if err != nil {
		h.waiters.setOwn(t.ID, false)
	}
	if errors.Is(err, task.ErrNotRunning) {
		return flwr.NewError(flwr.CodeTaskStartFailed) // it never asked for its input
	}
	return err
}

// AwaitTaskEnd waits until the task was ended by somebody other than its app. An app that ended
// its own task still writes logs and cleans up: it exits by itself.
func (h *Host) AwaitTaskEnd(ctx context.Context, t task.Task) error {
	waiter := h.waiters.add(t.ID)
	defer h.waiters.remove(t.ID, waiter)
	watch := h.store.Bell().Watch(state.KeyTask(t.ID))
	defer watch.Close()
	for {
		now, err := h.store.Task(ctx, t.ID)
		if err != nil && !errors.Is(err, task.ErrNotFound) {
			return fmt.Errorf("look up task %d: %w", t.ID, err)
		}
		if (err != nil || now.Status == task.Finished) && !h.waiters.isOwn(waiter) {
			return nil
		}
		select {
		case <-watch.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ReportExit fails the run if its ServerApp is gone without having ended its task.
func (h *Host) ReportExit(ctx context.Context, t task.Task, exit task.Exit) error {
	err := h.store.FinishRun(ctx, t.RunID, task.Failed, exitReason(exit))
	if errors.Is(err, state.ErrRunFinished) {
		return nil
	}
	return err
}

func exitReason(exit task.Exit) string {
	reason := "the ServerApp process " + exit.How() + " before its task was done"
	if exit.Detail != "" {
		reason += ": " + exit.Detail
	}
	if len(reason) > maxDetail {
		reason = reason[:maxDetail] + "..."
	}
	return reason
}

// waiters know for which tasks somebody is waiting for the end, and which of those tasks were
// ended by their own app.
type waiters struct {
	mu     sync.Mutex
	byTask map[uint64]map[*waiter]struct{}
}

type waiter struct{ own bool }

func newWaiters() *waiters { return &waiters{byTask: make(map[uint64]map[*waiter]struct{})} }

func (w *waiters) add(taskID uint64) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byTask[taskID] == nil {
		w.byTask[taskID] = make(map[*waiter]struct{})
	}
	waiting := &waiter{}
	w.byTask[taskID][waiting] = struct{}{}
	return waiting
}

func (w *waiters) remove(taskID uint64, waiting *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byTask[taskID], waiting)
	if len(w.byTask[taskID]) == 0 {
		delete(w.byTask, taskID)
	}
}

func (w *waiters) setOwn(taskID uint64, own bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for waiting := range w.byTask[taskID] {
		waiting.own = own
	}
}

func (w *waiters) isOwn(waiting *waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return waiting.own
}
