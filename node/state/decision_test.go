package state_test

import (
	"errors"
	"testing"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestDecisionNeverChanges(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	no := state.Decision{RunID: 7, FABHash: run.FABHash, Policy: policy, Rule: "r", Reason: "because"}
	if _, err := f.Decide(t.Context(), no); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("decision about a run that is not here: %v", err)
	}
	f.must(f.AnnounceRun(t.Context(), state.Run{ID: 7, SeriesID: run.SeriesID, FABHash: run.FABHash}))
	if _, err := f.Decide(t.Context(), no); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("decision about a run that was only announced: %v", err)
	}
	_, err := f.TakeIn(t.Context(), offer(run, run.Instruction(t, 1, "model")))
	f.must(err)
	if got, err := f.Decide(t.Context(), no); err != nil || got != no {
		t.Errorf("decision = %+v, %v", got, err)
	}
	yes := no
	yes.Allowed, yes.Reason = true, ""
	if got, err := f.Decide(t.Context(), yes); err != nil || got != no {
		t.Errorf("the second decision holds: %+v, %v", got, err)
	}
	f.kill()
	if got, err := f.Decision(t.Context(), 7, run.FABHash, policy); err != nil || got != no {
		t.Errorf("after a kill the decision is %+v, %v", got, err)
	}
	other := yes
	other.FABHash = run.Instruction(t, 2, "x").ID
	if _, err := f.Decide(t.Context(), other); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("decision about a bundle that is not the run's: %v", err)
	}
	if _, err := f.Decision(t.Context(), 7, run.FABHash, "another policy"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("what another policy has decided: %v", err)
	}
	_, err = f.DropRun(t.Context(), 7)
	f.must(err)
	if _, err := f.Decision(t.Context(), 7, run.FABHash, policy); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("the decision about a dropped run: %v", err)
	}
}

func TestOnlyWhatIsAllowedIsLeased(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	f.accept(run, m)
	if tk, _, ok, err := f.Lease(t.Context(), clientApp, 1, "another policy"); err != nil || ok {
		t.Errorf("leased %+v, %v under a policy that was not asked", tk, err)
	}
	pending, err := f.Unallowed(t.Context(), "another policy")
	f.must(err)
	if len(pending) != 1 || pending[0].MessageID != m.ID || pending[0].RunID != 7 {
		t.Errorf("to be decided about: %+v", pending)
	}
	tk, token := f.claim(1)
	if pending, err := f.Unallowed(t.Context(), policy); err != nil || len(pending) > 0 {
		t.Errorf("to be decided about: %+v, %v", pending, err)
	}

	// The policy changes while an app works on the message.
	watch := f.Bell().Watch(state.KeyTask(tk.ID))
	defer watch.Close()
	f.must(f.Refuse(t.Context(), m.ID, flwr.ErrorInvalidFAB, "no"))
	select {
	case <-watch.C:
	default:
		t.Error("the app is not told that its task has ended")
	}
	if _, err := f.TaskByToken(t.Context(), token); !errors.Is(err, task.ErrUnknownToken) {
		t.Errorf("its token: %v", err)
	}
	if msg := f.onlyError(); msg.GetError().GetCode() != flwr.ErrorInvalidFAB {
		t.Errorf("reply = %v", msg)
	}
	if err := f.Refuse(t.Context(), m.ID, flwr.ErrorInvalidFAB, "no"); !errors.Is(err, state.ErrAnswered) {
		t.Errorf("refused twice: %v", err)
	}
}
