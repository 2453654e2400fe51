package apps

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// PullMessages gives the ServerApp the replies to its instructions, held for as long as the pacer
// says. Until they are confirmed, it gives them again when asked again.
func (h *Host) PullMessages(ctx context.Context, t task.Task, req *flwrpb.PullAppMessagesRequest) (*flwrpb.RawPullAppMessagesResponse, error) {
	ids := unique(req.GetMessageIds())
	if len(ids) > maxPullIDs {
		return nil, flwr.NewError(flwr.CodeInvalidMessageCount)
	}
	if len(ids) == 0 {
		return &flwrpb.RawPullAppMessagesResponse{}, nil
	}
	pull := h.pacer.begin(t.ID, ids, time.Now())
	answers, err := h.awaitAnswers(ctx, t, ids, pull)
	if err != nil {
		return nil, err
	}
	res, err := h.response(ctx, t.RunID, answers)
	if err != nil {
		return nil, err
	}
	answered := make([]string, len(answers))
	for i, a := range answers {
		answered[i] = a.InstructionID
	}
	pull.answered(answered, time.Now())
	return res, nil
}

// response has a message for each answer: the reply as its node sent it, or an error.
func (h *Host) response(ctx context.Context, runID uint64, answers []state.Answer) (*flwrpb.RawPullAppMessagesResponse, error) {
	errorReplies, err := h.errorReplies(ctx, runID, answers)
	if err != nil {
		return nil, err
	}
	res := &flwrpb.RawPullAppMessagesResponse{}
	for _, a := range answers {
		raw, tree := a.Reply.Proto, a.Reply.Tree
		if e, isError := errorReplies[a.InstructionID]; isError {
			raw, tree = e.raw, e.tree
		}
		res.Messages, res.Trees = append(res.Messages, raw), append(res.Trees, tree)
	}
	return res, nil
}

// awaitAnswers returns the answers that are there once there are enough or the hold ends.
func (h *Host) awaitAnswers(ctx context.Context, t task.Task, ids []string, pull *pull) ([]state.Answer, error) {
	bell := h.store.Bell()
	replies := bell.Watch(state.KeyReplies(t.RunID))
	defer replies.Close()
	ended := bell.Watch(state.KeyTask(t.ID))
	defer ended.Close()
	end := time.NewTimer(pull.hold)
	defer end.Stop()
	for over := false; ; {
		there, err := h.office.Answered(ctx, t.RunID, ids)
		if err != nil {
			return nil, unlessGone(fmt.Errorf("look up replies of run %d: %w", t.RunID, err))
		}
		if over || pull.enough(len(there), len(ids)) {
			return h.answers(ctx, t.RunID, there)
		}
		if over, err = h.awaitChange(ctx, t, replies, ended, end); err != nil {
			return nil, err
		}
	}
}

// answers reads those of the ids that are known to be answered.
func (h *Host) answers(ctx context.Context, runID uint64, ids []string) ([]state.Answer, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	answers, err := h.office.Answers(ctx, runID, ids)
	if err != nil {
		return nil, unlessGone(fmt.Errorf("read replies of run %d: %w", runID, err))
	}
	// A node that was missed may be back by now.
	return slices.DeleteFunc(answers, func(a state.Answer) bool { return a.Kind == state.NoAnswerYet }), nil
}

// awaitChange waits until it is worth looking again; over says that the hold has ended.
func (h *Host) awaitChange(ctx context.Context, t task.Task, replies, ended *wake.Watch, end *time.Timer) (over bool, err error) {
	select {
	case <-replies.C:
		pause := time.NewTimer(lookPause)
		defer pause.Stop()
		select {
		case <-pause.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	case <-ended.C:
		now, err := h.store.Task(ctx, t.ID)
		if err != nil {
			return false, unlessGone(err)
		}
		if now.Status == task.Finished {
			return false, gone()
		}
		return false, nil
	case <-end.C:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// unique drops repetitions and keeps the order.
func unique(ids []string) []string {
	seen := make(map[string]struct{}, len(ids))
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		if _, again := seen[id]; !again {
			seen[id] = struct{}{}
			out = append(out, id)
		}
	}
	return out
}
