package state_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/state"
)

func TestSummaries(t *testing.T) {
	f, run, idle := open(t), nodetest.NewRun(t, 7), nodetest.NewRun(t, 8)
	f.must(f.AnnounceRun(t.Context(), state.Run{ID: idle.ID, SeriesID: idle.SeriesID, FABHash: idle.FABHash}))
	for i := range 3 {
		f.accept(run, run.Instruction(t, i, "model"))
	}
	failed, _ := f.claim(1)
	f.must(f.AnswerWithError(t.Context(), failed.ID, "it crashed"))
	f.claim(1)
	got, err := f.Summaries(t.Context())
	f.must(err)
	want := []state.Summary{
		{RunID: 7, Waiting: 1, Leased: 1, Answered: 1, FailedTasks: 1, LastFailure: "it crashed"},
		{RunID: 8},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summaries (-want +got):\n%s", diff)
	}

	f.must(f.DropIdleRun(t.Context(), 7))
	f.must(f.DropIdleRun(t.Context(), 8))
	got, err = f.Summaries(t.Context())
	f.must(err)
	if diff := cmp.Diff(want[:1], got); diff != "" {
		t.Errorf("after dropping what is idle (-want +got):\n%s", diff)
	}
}

func TestStoppingNodeDoesItAgain(t *testing.T) {
	f, run := open(t), nodetest.NewRun(t, 7)
	f.accept(run, run.Instruction(t, 1, "model"))
	claimed, _ := f.claim(1)
	f.must(f.Activate(t.Context(), claimed.ID))
	f.Stopping()
	f.must(f.Lost(t.Context(), claimed.ID, "killed by us"))
	if n := len(f.unsent()); n != 0 {
		t.Fatalf("%d answers to work that the node itself has cut off", n)
	}
	f.reopen()
	f.claim(1)
}
