package apps

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// PullTaskInput starts the task: it gives the app its context, its run and its bundle.
func (h *Host) PullTaskInput(ctx context.Context, t task.Task) (*flwrpb.PullTaskInputResponse, error) {
	known, bundle, err := h.cfg.Office.App(ctx, t)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil, flwr.NewError(flwr.CodeRunIDNotFound)
	case errors.Is(err, messages.ErrNotAllowed):
		return nil, flwr.NewError(flwr.CodeTaskStartFailed)
	case err != nil:
		return nil, err
	}
	run := new(flwrpb.Run)
	if err := proto.Unmarshal(known.Proto, run); err != nil {
		return nil, fmt.Errorf("run %d: %w", t.RunID, err)
	}
	appContext, err := h.context(ctx, known)
	if err != nil {
		return nil, err
	}
	err = h.cfg.Store.Activate(ctx, t.ID)
	if errors.Is(err, task.ErrFinished) || errors.Is(err, task.ErrNotFound) {
		return nil, flwr.NewError(flwr.CodeTaskStartFailed)
	}
	if err != nil {
		return nil, err
	}
	return &flwrpb.PullTaskInputResponse{Context: appContext, Run: run, TaskId: t.ID,
		Fab: &flwrpb.Fab{HashStr: known.FABHash, Content: bundle, Verifications: known.Verifications}}, nil
}

// context is what the run series knows on this node: within a run exactly what the last
// app left; in the first task of a run only its state, under the run's own configuration.
func (h *Host) context(ctx context.Context, run state.Run) ([]byte, error) {
	if run.Config == nil {
		return nil, flwr.NewError(flwr.CodeSeriesContextNotFound)
	}
	left, leftBy, err := h.cfg.Store.SeriesContext(ctx, run.SeriesID)
	if err != nil {
		return nil, err
	}
	if leftBy == run.ID {
		return left, nil
	}
	identity, err := h.cfg.Store.Identity(ctx)
	if err != nil {
		return nil, err
	}
	fresh := &flwrpb.Context{
		RunId:      run.ID,
		NodeId:     identity.NodeID,
		NodeConfig: h.cfg.NodeConfig,
		RunConfig:  run.Config,
		SeriesId:   run.SeriesID,
		State:      []byte{}, // an empty record, which is present
	}
	if leftBy != 0 {
		var old flwrpb.Context
		if err := proto.Unmarshal(left, &old); err != nil {
			return nil, fmt.Errorf("context of series %d: %w", run.SeriesID, err)
		}
		fresh.State = old.State
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(fresh)
}

// PullMessages gives the app the instruction of its task, as often as it asks.
func (h *Host) PullMessages(ctx context.Context, t task.Task, _ *flwrpb.PullAppMessagesRequest) (*flwrpb.RawPullAppMessagesResponse, error) {
	m, err := h.cfg.Store.Instruction(ctx, t.MessageID)
	if errors.Is(err, state.ErrNotFound) {
		return &flwrpb.RawPullAppMessagesResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &flwrpb.RawPullAppMessagesResponse{Messages: [][]byte{m.Message}, Trees: [][]byte{m.Tree}}, nil
}

// ConfirmMessageReceived changes nothing: the objects of a message live until it is
// answered and longer, since the same model may come again.
func (h *Host) ConfirmMessageReceived(context.Context, task.Task, *flwrpb.ConfirmMessageReceivedRequest) error {
	return nil
}
