package statetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func objectID(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func testRun(t *testing.T, e *env) {
	n := state.NewRun{TaskType: task.TypeServerApp, FABID: "pub/app", FABVersion: "1.2.3", FABHash: objectID("fab"),
		Verifications:  map[string]string{"a": "b"},
		OverrideConfig: map[string]*flwrpb.Scalar{"lr": {Scalar: &flwrpb.Scalar_Double{Double: 0.1}}},
		Federation:     "@none/default", AccountID: "<id:none>"}
	var created state.Run
	e.rings("CreateRun", func() {
		var err error
		created, err = e.CreateRun(e.ctx, n)
		e.ok(err)
	}, state.KeyPendingTask())
	e.reopen()
	got, err := e.Run(e.ctx, created.ID)
	e.ok(err)
	for _, id := range []uint64{got.ID, got.SeriesID, got.PrimaryTask.ID} {
		if id < 2 {
			t.Errorf("id %d", id)
		}
	}
	if got.PrimaryTask != created.PrimaryTask || got.PrimaryTask.Status != task.Pending || !got.PrimaryTask.PendingAt.Equal(e.now()) {
		t.Errorf("primary task: %+v", got.PrimaryTask)
	}
	if got.FABID != n.FABID || got.FABVersion != n.FABVersion || got.FABHash != n.FABHash || got.Federation != n.Federation ||
		got.AccountID != n.AccountID || !maps.Equal(got.Verifications, n.Verifications) {
		t.Errorf("run: %+v", got)
	}
	if !proto.Equal(got.Proto(), created.Proto()) || got.OverrideConfig["lr"].GetDouble() != 0.1 {
		t.Errorf("run as Flower sees it: %v, want %v", got.Proto(), created.Proto())
	}
	e.ok(e.AddRunStats(e.ctx, created.ID, 10, 20, time.Second))
	e.ok(e.AddRunStats(e.ctx, created.ID, 1, 2, 500*time.Millisecond))
	got, err = e.Run(e.ctx, created.ID)
	e.ok(err)
	if got.BytesSent != 11 || got.BytesReceived != 22 || got.ClientAppRuntime != 1500*time.Millisecond {
		t.Errorf("statistics: %+v", got)
	}
}

func testRunRules(_ *testing.T, e *env) {
	_, err := e.Run(e.ctx, 7)
	e.want("Run", err, state.ErrNotFound)
	e.want("FinishRun", e.FinishRun(e.ctx, 7, task.Stopped, ""), state.ErrNotFound)
	e.want("AddRunStats", e.AddRunStats(e.ctx, 7, 1, 1, 0), state.ErrNotFound)
	e.want("FinishTaskWithContext", e.FinishTaskWithContext(e.ctx, 7, task.Failed, "", nil, 0), state.ErrNotFound)
	_, err = e.SeriesContext(e.ctx, 7)
	e.want("SeriesContext", err, state.ErrNotFound)
	_, err = e.CreateRun(e.ctx, state.NewRun{SeriesID: 7, TaskType: task.TypeServerApp})
	e.want("CreateRun", err, state.ErrNotFound)
	run := e.newRun()
	e.want("completed while pending", e.FinishRun(e.ctx, run.ID, task.Completed, ""), task.ErrNotRunning)
	e.ok(e.FinishRun(e.ctx, run.ID, task.Stopped, "by hand"))
	e.want("finished twice", e.FinishRun(e.ctx, run.ID, task.Failed, ""), state.ErrRunFinished)
	e.want("finished twice", e.FinishTaskWithContext(e.ctx, run.PrimaryTask.ID, task.Failed, "", nil, 0), state.ErrRunFinished)
	got, err := e.Run(e.ctx, run.ID)
	e.ok(err)
	if p := got.PrimaryTask; p.SubStatus != task.Stopped || p.Details != "by hand" || !p.FinishedAt.Equal(e.now()) {
		e.t.Errorf("after the end: %+v", p)
	}
}

func testSeries(t *testing.T, e *env) {
	first := e.runningRun()
	blob, err := e.SeriesContext(e.ctx, first.SeriesID)
	e.ok(err)
	var c flwrpb.Context
	e.ok(proto.Unmarshal(blob, &c))
	if c.GetRunId() != first.ID || c.GetNodeId() != 1 || c.GetSeriesId() != first.SeriesID || c.State == nil {
		t.Errorf("first context: %v", &c)
	}
	left := []byte("opaque context")
	e.rings("FinishTaskWithContext", func() {
		e.ok(e.FinishTaskWithContext(e.ctx, first.PrimaryTask.ID, task.Completed, "", left, 2*time.Second))
	}, state.KeyRun(first.ID), state.KeyTask(first.PrimaryTask.ID), state.KeyRunEnds())
	second, err := e.CreateRun(e.ctx, state.NewRun{SeriesID: first.SeriesID, TaskType: task.TypeServerApp})
	e.ok(err)
	e.reopen()
	blob, err = e.SeriesContext(e.ctx, second.SeriesID)
	e.ok(err)
	if second.SeriesID != first.SeriesID || !bytes.Equal(blob, left) {
		t.Errorf("series %d starts from %q, want %d and %q", second.SeriesID, blob, first.SeriesID, left)
	}
	got, err := e.Run(e.ctx, first.ID)
	e.ok(err)
	if got.PrimaryTask.SubStatus != task.Completed || got.ClientAppRuntime != 2*time.Second {
		t.Errorf("first run: %+v", got)
	}
}

func testRunList(t *testing.T, e *env) {
	var want []uint64
	for range 5 {
		want = append([]uint64{e.newRun().ID}, want...)
		e.pass(time.Second)
	}
	list := func(limit, skip uint64) (ids []uint64) {
		runs, err := e.ListRuns(e.ctx, limit, skip)
		e.ok(err)
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		return ids
	}
	for _, c := range []struct{ limit, skip, from, to uint64 }{{0, 0, 0, 5}, {2, 0, 0, 2}, {2, 1, 1, 3}, {0, 4, 4, 5}, {9, 9, 5, 5}, {^uint64(0), ^uint64(0), 5, 5}} {
		if got := list(c.limit, c.skip); !slices.Equal(got, want[c.from:c.to]) {
			t.Errorf("limit %d skip %d: %v, want %v", c.limit, c.skip, got, want[c.from:c.to])
		}
	}
	e.ok(e.FinishRun(e.ctx, want[0], task.Failed, ""))
	unfinished, err := e.UnfinishedRuns(e.ctx)
	e.ok(err)
	if len(unfinished) != 4 || slices.ContainsFunc(unfinished, func(r state.Run) bool { return r.ID == want[0] }) {
		t.Errorf("%d unfinished runs, want 4", len(unfinished))
	}
}

// A list shows each run just as a look-up of that run does, with its own primary task.
func testRunListIsWhole(t *testing.T, e *env) {
	var ids []uint64
	for i := range 40 {
		run, err := e.CreateRun(e.ctx, state.NewRun{TaskType: task.TypeServerApp, FABID: fmt.Sprintf("pub/app%d", i),
			FABHash: objectID(fmt.Sprint(i)), Verifications: map[string]string{"n": fmt.Sprint(i)},
			OverrideConfig: map[string]*flwrpb.Scalar{"n": {Scalar: &flwrpb.Scalar_Sint64{Sint64: int64(i)}}}})
		e.ok(err)
		ids = append(ids, run.ID)
		switch i % 4 {
		case 1:
			e.ok(e.FinishRun(e.ctx, run.ID, task.Stopped, fmt.Sprint("by hand ", i)))
		case 2:
			e.ok(e.AddRunStats(e.ctx, run.ID, uint64(i), uint64(2*i), time.Duration(i)*time.Second))
		}
		e.pass(time.Millisecond)
	}
	same := func(what string, runs []state.Run, err error) {
		t.Helper()
		e.ok(err)
		for _, listed := range runs {
			alone, err := e.Run(e.ctx, listed.ID)
			e.ok(err)
			if !proto.Equal(listed.Proto(), alone.Proto()) || listed.PrimaryTask != alone.PrimaryTask || !maps.Equal(listed.Verifications, alone.Verifications) {
				t.Errorf("%s has %+v, the run alone is %+v", what, listed, alone)
			}
		}
	}
	listed, err := e.ListRuns(e.ctx, 0, 0)
	same("the list", listed, err)
	unfinished, err := e.UnfinishedRuns(e.ctx)
	same("the list of unfinished runs", unfinished, err)
	if len(listed) != len(ids) || len(unfinished) != len(ids)*3/4 {
		t.Errorf("%d runs, %d of them unfinished, want %d and %d", len(listed), len(unfinished), len(ids), len(ids)*3/4)
	}
}

func testRunBound(t *testing.T, e *env) {
	n := state.NewRun{TaskType: task.TypeServerApp}
	first, err := e.CreateRun(e.ctx, n)
	e.ok(err)
	var wg sync.WaitGroup
	for range state.MaxUnfinishedRuns - 1 {
		wg.Go(func() {
			if _, err := e.CreateRun(e.ctx, n); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, err = e.CreateRun(e.ctx, n)
	e.want("one run too many", err, state.ErrTooMany)
	e.ok(e.FinishRun(e.ctx, first.ID, task.Stopped, ""))
	_, err = e.CreateRun(e.ctx, n)
	e.want("with room again", err, nil)
}

func testRunEndsEverything(_ *testing.T, e *env) {
	run, elsewhere, node := e.runningRun(), e.runningRun(), e.onlineNode("a")
	i, j := e.instruction("i", run.ID, node.ID), e.instruction("j", elsewhere.ID, node.ID)
	e.insert(i, j)
	e.ok(e.InsertReply(e.ctx, e.reply("r", i), 0))
	e.ok(e.AppendLogs(e.ctx, run.ID, e.now(), []string{"kept\n"}))
	e.rings("FinishRun", func() { e.ok(e.FinishRun(e.ctx, run.ID, task.Stopped, "")) },
		state.KeyRun(run.ID), state.KeyTask(run.PrimaryTask.ID), state.KeyRunEnds(), state.KeyReplies(run.ID))
	e.wantKind(run.ID, "i", state.InstructionUnknown)
	msgs, err := e.UnansweredInstructions(e.ctx, node.ID)
	e.wantIDs("what the node owes", msgs, err, "j")
	refused, err := e.InsertInstructions(e.ctx, []state.Message{i, e.instruction("k", elsewhere.ID, node.ID)})
	e.ok(err)
	e.want("to a finished run", refused[0], state.ErrRunFinished)
	e.want("to the other run", refused[1], nil)
	e.want("late reply", e.InsertReply(e.ctx, e.reply("r", i), 0), state.ErrNotFound)
	if text, _, _, err := e.Logs(e.ctx, run.ID, 0); text != "kept\n" || err != nil {
		e.t.Errorf("log after the end: %q, %v", text, err)
	}
}

func testLogs(t *testing.T, e *env) {
	run := e.newRun()
	text, at, seq, err := e.Logs(e.ctx, run.ID, 0)
	if text != "" || !at.IsZero() || seq != 0 || err != nil {
		t.Errorf("empty log: %q, %v, %d, %v", text, at, seq, err)
	}
	e.rings("AppendLogs", func() { e.ok(e.AppendLogs(e.ctx, run.ID, e.now(), []string{"a", "b\n"})) }, state.KeyLogs(run.ID))
	_, _, first, err := e.Logs(e.ctx, run.ID, 0)
	e.ok(err)
	later := e.now().Add(time.Second)
	e.ok(e.AppendLogs(e.ctx, run.ID, later, []string{"c\xff\n"}))
	e.ok(e.AppendLogs(e.ctx, run.ID, later, nil))
	e.reopen()
	if text, at, _, err = e.Logs(e.ctx, run.ID, 0); text != "ab\nc\uFFFD\n" || !at.Equal(later) || err != nil {
		t.Errorf("whole log: %q, %v, %v", text, at, err)
	}
	if text, _, seq, err = e.Logs(e.ctx, run.ID, first); text != "c\uFFFD\n" || seq <= first || err != nil {
		t.Errorf("rest of the log: %q, %d after %d, %v", text, seq, first, err)
	}
	if text, _, again, err := e.Logs(e.ctx, run.ID, seq); text != "" || again != seq || err != nil {
		t.Errorf("end of the log: %q, %d, %v", text, again, err)
	}
	e.want("AppendLogs", e.AppendLogs(e.ctx, 7, e.now(), []string{"x"}), state.ErrNotFound)
	_, _, _, err = e.Logs(e.ctx, 7, 0)
	e.want("Logs", err, state.ErrNotFound)
}

func testLogsAreBounded(t *testing.T, e *env) {
	run := e.newRun()
	const size = state.MaxLogBytes / 16
	for i := range 40 {
		line := fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", size))
		e.ok(e.AppendLogs(e.ctx, run.ID, e.now(), []string{line}))
	}
	text, _, last, err := e.Logs(e.ctx, run.ID, 0)
	e.ok(err)
	if len(text) > state.MaxLogBytes+1024 || len(text) < state.MaxLogBytes/2 {
		t.Errorf("%d bytes were kept; the bound is %d", len(text), state.MaxLogBytes)
	}
	notice, rest, _ := strings.Cut(text, "\n")
	if !strings.Contains(notice, "dropped") || !strings.HasPrefix(rest, "line ") || !strings.Contains(rest, "\nline 39 ") {
		t.Errorf("the log begins with %.60q, %.60q", notice, rest)
	}
	if text, _, _, err = e.Logs(e.ctx, run.ID, last-1); !strings.HasPrefix(text, "line 39 ") || err != nil {
		t.Errorf("a client that followed the log gets %.60q, %v", text, err)
	}
	e.ok(e.AppendLogs(e.ctx, run.ID, e.now(), []string{strings.Repeat("y", 3*state.MaxLogBytes) + "end"}))
	if text, _, _, err = e.Logs(e.ctx, run.ID, last); len(text) > state.MaxLogBytes+1024 || !strings.HasSuffix(text, "yend") || err != nil {
		t.Errorf("a huge line left %d bytes, %v", len(text), err)
	}
}

func testObjects(t *testing.T, e *env) {
	a, b := e.runningRun(), e.runningRun()
	x, y, z := objectID("x"), objectID("y"), objectID("z")
	e.ok(e.RegisterObjects(e.ctx, a.ID, []string{x, y, x}))
	e.ok(e.RegisterObjects(e.ctx, a.ID, []string{y}))
	e.ok(e.RegisterObjects(e.ctx, b.ID, []string{y, z}))
	for _, c := range []struct {
		run  uint64
		id   string
		want bool
	}{{a.ID, x, true}, {a.ID, z, false}, {b.ID, z, true}, {7, x, false}, {a.ID, a.FABHash, true}, {a.ID, "no id", false}, {a.ID, strings.ToUpper(x), false}} {
		if got, err := e.RunHasObject(e.ctx, c.run, c.id); got != c.want || err != nil {
			t.Errorf("run %d has %.8s: %v, %v", c.run, c.id, got, err)
		}
	}
	for _, bad := range []string{"", "..", x[1:], strings.ToUpper(x), x + "0"} {
		if err := e.RegisterObjects(e.ctx, a.ID, []string{z, bad}); err == nil {
			t.Errorf("%q was registered", bad)
		}
	}
	e.want("RegisterObjects", e.RegisterObjects(e.ctx, 7, []string{x}), state.ErrNotFound)
	release := func(run uint64) (gone []string) {
		e.ok(e.ReleaseObjects(e.ctx, run, func(id string) error { gone = append(gone, id); return nil }))
		slices.Sort(gone)
		return gone
	}
	e.want("unfinished", e.ReleaseObjects(e.ctx, a.ID, func(string) error { t.Error("removed"); return nil }), state.ErrNotAllowed)
	e.ok(e.FinishRun(e.ctx, a.ID, task.Stopped, ""))
	e.want("finished", e.RegisterObjects(e.ctx, a.ID, []string{z}), state.ErrRunFinished)
	holding, err := e.FinishedRunsHoldingObjects(e.ctx)
	if e.ok(err); !slices.Equal(holding, []uint64{a.ID}) {
		t.Errorf("holding: %v", holding)
	}
	if got := release(a.ID); !slices.Equal(got, []string{x}) {
		t.Errorf("the first run released %v, want only %s", got, x)
	}
	e.reopen()
	e.ok(e.FinishRun(e.ctx, b.ID, task.Stopped, ""))
	want := []string{y, z, a.FABHash}
	slices.Sort(want)
	if got := release(b.ID); !slices.Equal(got, want) {
		t.Errorf("the second run released %v, want %v", got, want)
	}
	holding, err = e.FinishedRunsHoldingObjects(e.ctx)
	if e.ok(err); len(holding) != 0 {
		t.Errorf("still holding: %v", holding)
	}
}

// A run that names another run's object does not hold it before it was given that object, too.
func testHolders(t *testing.T, e *env) {
	a, b := e.runningRun(), e.runningRun()
	x, y := objectID("x"), objectID("y")
	unheld := func(run uint64, ids ...string) []string {
		t.Helper()
		got, err := e.UnheldObjects(e.ctx, run, ids)
		e.ok(err)
		return got
	}
	check := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("a new run", unheld(a.ID, x, a.FABHash, "no id"), x, "no id")
	e.ok(e.HoldObjects(e.ctx, a.ID, []string{x}))
	check("not registered", unheld(a.ID, x), x)
	e.ok(e.RegisterObjects(e.ctx, a.ID, []string{x, y}))
	check("only registered", unheld(a.ID, y, x), y, x)
	e.ok(e.HoldObjects(e.ctx, a.ID, []string{x, "no id"}))
	e.ok(e.RegisterObjects(e.ctx, b.ID, []string{x, y}))
	e.ok(e.RegisterObjects(e.ctx, a.ID, []string{x})) // again
	e.reopen()
	check("held", unheld(a.ID, x, y), y)
	check("held by the other", unheld(b.ID, x, y), x, y)
	check("of no run", unheld(7, x), x)
	e.want("HoldObjects", e.HoldObjects(e.ctx, 7, []string{x}), state.ErrNotFound)
	e.ok(e.FinishRun(e.ctx, b.ID, task.Stopped, ""))
	e.want("finished", e.HoldObjects(e.ctx, b.ID, []string{x}), state.ErrRunFinished)
	e.ok(e.ReleaseObjects(e.ctx, b.ID, func(id string) error {
		if id != b.FABHash {
			t.Errorf("%s was removed although the other run needs it", id)
		}
		return nil
	}))
}

// A run that registers an object while another releases it either finds it already removed, or keeps
// it: it is never removed after the registration.
func testReleaseAgainstRegister(t *testing.T, e *env) {
	id := objectID("shared")
	keeper := e.runningRun()
	for range 20 {
		run := e.runningRun()
		e.ok(e.RegisterObjects(e.ctx, run.ID, []string{id}))
		e.ok(e.FinishRun(e.ctx, run.ID, task.Stopped, ""))
		var registered, removedAfter bool
		var mu sync.Mutex
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := e.RegisterObjects(e.ctx, keeper.ID, []string{id}); err != nil {
				t.Error(err)
			}
			mu.Lock()
			registered = true
			mu.Unlock()
		})
		wg.Go(func() {
			err := e.ReleaseObjects(e.ctx, run.ID, func(got string) error {
				mu.Lock()
				removedAfter = removedAfter || (registered && got == id)
				mu.Unlock()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if removedAfter {
			t.Fatal("an object was removed after a run had registered it")
		}
		e.ok(e.FinishRun(e.ctx, keeper.ID, task.Stopped, ""))
		e.ok(e.ReleaseObjects(e.ctx, keeper.ID, func(string) error { return nil }))
		keeper = e.runningRun()
	}
}

func testReleaseThatFails(t *testing.T, e *env) {
	run := e.runningRun()
	var ids []string
	for i := range 200 {
		ids = append(ids, objectID(fmt.Sprint(i)))
	}
	e.ok(e.RegisterObjects(e.ctx, run.ID, ids))
	e.ok(e.FinishRun(e.ctx, run.ID, task.Failed, ""))
	errBusy := errors.New("busy")
	removed := make(map[string]int)
	failing := 150
	remove := func(id string) error {
		if failing--; failing == 0 {
			return errBusy
		}
		removed[id]++
		return nil
	}
	e.want("ReleaseObjects", e.ReleaseObjects(e.ctx, run.ID, remove), errBusy)
	holding, err := e.FinishedRunsHoldingObjects(e.ctx)
	if e.ok(err); !slices.Equal(holding, []uint64{run.ID}) {
		t.Errorf("holding: %v", holding)
	}
	e.ok(e.ReleaseObjects(e.ctx, run.ID, remove))
	for id, n := range removed {
		if n != 1 {
			t.Errorf("%s was removed %d times", id, n)
		}
	}
	if len(removed) != len(ids)+1 { // and the FAB
		t.Errorf("%d objects were removed, want %d", len(removed), len(ids)+1)
	}
}
