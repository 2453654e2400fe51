package statetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// finished makes a run that has ended and released its objects.
func (e *env) finished(series uint64) state.Run {
	e.t.Helper()
	run, err := e.CreateRun(e.ctx, state.NewRun{TaskType: task.TypeServerApp, FABID: "pub/app", FABVersion: "1", FABHash: objectID("fab"),
		SeriesID: series, Federation: state.FederationDefault, AccountID: state.AccountNone})
	e.ok(err)
	e.ok(e.FinishRun(e.ctx, run.ID, task.Stopped, ""))
	e.release(run.ID)
	return run
}

func (e *env) release(run uint64) {
	e.t.Helper()
	e.ok(e.ReleaseObjects(e.ctx, run, func(string) error { return nil }))
}

func (e *env) forget(keep state.Retention) (forgotten []uint64, next time.Time) {
	e.t.Helper()
	forgotten, next, err := e.ForgetRuns(e.ctx, e.now(), keep)
	e.ok(err)
	return forgotten, next
}

func testForget(t *testing.T, e *env) {
	month := state.Retention{Age: 30 * 24 * time.Hour}
	old := e.finished(0)
	e.ok(e.AppendLogs(e.ctx, old.ID, e.now(), []string{"hello\n"}))
	continued := e.finished(0)
	working := e.runningRun()
	holding := e.runningRun()
	e.ok(e.FinishRun(e.ctx, holding.ID, task.Failed, "why"))
	if gone, next := e.forget(month); len(gone) != 0 || !next.Equal(e.now().Add(month.Age)) {
		t.Errorf("at once: %v were forgotten, next at %v", gone, next)
	}
	if gone, next := e.forget(state.Retention{}); len(gone) != 0 || !next.IsZero() {
		t.Errorf("without a bound: %v were forgotten, next at %v", gone, next)
	}
	e.mu.Lock()
	e.clock = e.clock.Add(20 * 24 * time.Hour)
	e.mu.Unlock()
	young := e.finished(continued.SeriesID)
	e.mu.Lock()
	e.clock = e.clock.Add(10 * 24 * time.Hour)
	e.mu.Unlock()

	gone, next := e.forget(month)
	slices.Sort(gone)
	want := []uint64{old.ID, continued.ID}
	slices.Sort(want)
	if !slices.Equal(gone, want) {
		t.Errorf("after a month %v were forgotten, want %v", gone, want)
	}
	if next.IsZero() || next.After(e.now().Add(time.Hour)) {
		t.Errorf("a run that holds objects would be looked at again at %v; it is %v now", next, e.now())
	}
	e.reopen()
	for _, id := range want {
		_, err := e.Run(e.ctx, id)
		e.want("Run", err, state.ErrNotFound)
		_, _, _, err = e.Logs(e.ctx, id, 0)
		e.want("Logs", err, state.ErrNotFound)
	}
	_, err := e.Task(e.ctx, old.PrimaryTask.ID)
	e.want("Task", err, task.ErrNotFound)
	_, err = e.SeriesContext(e.ctx, old.SeriesID)
	e.want("SeriesContext", err, state.ErrNotFound)
	if _, err := e.SeriesContext(e.ctx, young.SeriesID); err != nil {
		t.Error("the series of a run that is kept is gone: ", err)
	}
	for _, id := range []uint64{working.ID, holding.ID, young.ID} {
		if _, err := e.Run(e.ctx, id); err != nil {
			t.Error(err)
		}
	}
	e.release(holding.ID)
	if gone, next := e.forget(month); !slices.Equal(gone, []uint64{holding.ID}) || !next.Equal(young.PrimaryTask.PendingAt.Add(month.Age)) {
		t.Errorf("after the release %v were forgotten, next at %v", gone, next)
	}
	if runs, err := e.ListRuns(e.ctx, 0, 0); len(runs) != 2 || err != nil {
		t.Errorf("%d runs are left, %v", len(runs), err)
	}
}

func testForgetBySize(t *testing.T, e *env) {
	var runs []uint64
	for range 4 {
		run := e.finished(0)
		e.ok(e.AppendLogs(e.ctx, run.ID, e.now(), []string{strings.Repeat("x", 10_000)}))
		runs = append(runs, run.ID)
		e.mu.Lock()
		e.clock = e.clock.Add(time.Hour)
		e.mu.Unlock()
	}
	two := state.Retention{Bytes: 2*(10_000+state.RunRowBytes) + 4_000}
	if gone, next := e.forget(two); !slices.Equal(gone, runs[:2]) || !next.IsZero() {
		t.Errorf("%v were forgotten, want %v; next at %v", gone, runs[:2], next)
	}
	if gone, _ := e.forget(two); len(gone) != 0 {
		t.Errorf("%v were forgotten the second time", gone)
	}
	e.runningRun()
	if gone, _ := e.forget(state.Retention{Bytes: 1}); !slices.Equal(gone, runs[2:]) {
		t.Errorf("%v were forgotten, want all that are finished", gone)
	}
	if left, err := e.ListRuns(e.ctx, 0, 0); len(left) != 1 || err != nil {
		t.Errorf("%d runs are left, %v", len(left), err)
	}
}
