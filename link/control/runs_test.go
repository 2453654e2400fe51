package control_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/fab/fabtest"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestStartRun(t *testing.T) {
	l := newLink(t)
	content := fabtest.Zip(t, "pyproject.toml", pyproject, "quick/server.py", "app = 1")
	override := map[string]*flwrpb.Scalar{
		"rounds": {Scalar: &flwrpb.Scalar_Sint64{Sint64: 5}}, "optimizer.rate": {Scalar: &flwrpb.Scalar_Double{Double: 1}},
	}
	res := &flwrpb.StartRunResponse{}
	l.Post(flwr.PathStartRun, &flwrpb.StartRunRequest{
		Fab: &flwrpb.Fab{HashStr: object.Sum(content), Content: content}, OverrideConfig: override, Federation: "@none/default",
	}).Into(t, res)
	if res.GetRunId() == 0 || res.GetSeriesId() == 0 || res.GetFederation() != "@none/default" {
		t.Fatalf("got %v", res)
	}
	run, err := l.store.Run(t.Context(), res.GetRunId())
	if err != nil {
		t.Fatal(err)
	}
	got := run.Proto()
	if _, err := time.Parse(time.RFC3339Nano, got.PendingAt); err != nil {
		t.Error(err)
	}
	got.PendingAt, got.PrimaryTaskId = "", nil
	want := &flwrpb.Run{
		RunId: res.GetRunId(), SeriesId: res.GetSeriesId(), FabId: "me/quick", FabVersion: "1.2.3", FabHash: object.Sum(content),
		OverrideConfig: override, Status: &flwrpb.RunStatus{Status: "pending"}, FlwrAid: "<id:none>", AccountName: "none",
		Federation: "@none/default", PrimaryTaskType: task.TypeServerApp,
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	file, err := l.objects.Open(object.Sum(content))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if kept, err := io.ReadAll(file); err != nil || !slices.Equal(kept, content) {
		t.Errorf("the link kept a bundle of %d bytes, %v", len(kept), err)
	}

	again := &flwrpb.StartRunResponse{}
	l.Post(flwr.PathStartRun, &flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: content}, SeriesId: res.SeriesId}).Into(t, again)
	if again.GetSeriesId() != res.GetSeriesId() || again.GetRunId() == res.GetRunId() {
		t.Errorf("a run of series %d is run %d of series %d", res.GetSeriesId(), again.GetRunId(), again.GetSeriesId())
	}
}

func TestStartRunRefusals(t *testing.T) {
	l := newLink(t)
	app := func(files ...string) *flwrpb.StartRunRequest {
		return &flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: fabtest.Zip(t, files...)}}
	}
	with := func(change func(*flwrpb.StartRunRequest)) *flwrpb.StartRunRequest {
		req := app("pyproject.toml", pyproject)
		change(req)
		return req
	}
	agent := strings.Replace(pyproject, "serverapp", "agentapp", 1)
	value := &flwrpb.Scalar{Scalar: &flwrpb.Scalar_Bool{Bool: true}}
	for name, test := range map[string]struct {
		req    *flwrpb.StartRunRequest
		status int
		code   flwr.Code
	}{
		"nothing":             {&flwrpb.StartRunRequest{}, 412, flwr.CodeInvalidRunConfig},
		"no zip":              {&flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: []byte("hello")}}, 412, flwr.CodeInvalidRunConfig},
		"no pyproject":        {app("server.py", ""), 412, flwr.CodeInvalidRunConfig},
		"escapes its folder":  {app("pyproject.toml", pyproject, "../evil.py", ""), 412, flwr.CodeInvalidRunConfig},
		"bomb":                {app("pyproject.toml", pyproject, "zeros", strings.Repeat("\x00", 101<<20)), 412, flwr.CodeInvalidRunConfig},
		"damaged":             {with(func(r *flwrpb.StartRunRequest) { r.Fab.HashStr = strings.Repeat("0", 64) }), 412, flwr.CodeInvalidRunConfig},
		"unknown key":         {with(func(r *flwrpb.StartRunRequest) { r.OverrideConfig = map[string]*flwrpb.Scalar{"epochs": value} }), 412, flwr.CodeInvalidRunConfig},
		"key of a table":      {with(func(r *flwrpb.StartRunRequest) { r.OverrideConfig = map[string]*flwrpb.Scalar{"optimizer": value} }), 412, flwr.CodeInvalidRunConfig},
		"key without value":   {with(func(r *flwrpb.StartRunRequest) { r.OverrideConfig = map[string]*flwrpb.Scalar{"rounds": {}} }), 412, flwr.CodeInvalidRunConfig},
		"unknown federation":  {with(func(r *flwrpb.StartRunRequest) { r.Federation = "@me/mine" }), 404, flwr.CodeFederationNotFound},
		"unknown series":      {with(func(r *flwrpb.StartRunRequest) { r.SeriesId = proto.Uint64(5) }), 404, flwr.CodeSeriesIDNotFound},
		"connector":           {with(func(r *flwrpb.StartRunRequest) { r.ConnectorIds = []uint64{1} }), 404, flwr.CodeConnectorNotFound},
		"app of Flower Hub":   {&flwrpb.StartRunRequest{AppSpec: "@flwrlabs/quickstart"}, 412, flwr.CodeInvalidAppSpec},
		"agent, no prompt":    {app("pyproject.toml", agent), 400, flwr.CodeUserPromptRequired},
		"agent with a prompt": {func() *flwrpb.StartRunRequest { r := app("pyproject.toml", agent); r.UserPrompt = "hi"; return r }(), 412, flwr.CodeInvalidRunConfig},
	} {
		l.refused(name, flwr.PathStartRun, test.req, test.status, test.code)
	}
	if got := l.list(&flwrpb.ListRunsRequest{}); len(got.GetRunDict()) != 0 {
		t.Errorf("refused requests started %v", got)
	}
}

func TestABundleThatIsTooLargeGetsAnEmptyAnswer(t *testing.T) {
	l := newLink(t)
	got := l.Post(flwr.PathStartRun, &flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: make([]byte, 10<<20+1)}})
	if got.Status != 200 || len(got.Body) != 0 {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	if got := l.Post(flwr.PathStartRun, &flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: make([]byte, 30<<20)}}); got.Status != 413 {
		t.Errorf("a vastly oversized body got %d %s", got.Status, got.Body)
	}
}

func TestListRuns(t *testing.T) {
	l := newLink(t)
	var ids []uint64
	for range 25 {
		ids = append(ids, l.start())
	}
	keys := func(res *flwrpb.ListRunsResponse) []uint64 {
		var got []uint64
		for id, run := range res.GetRunDict() {
			if run.GetRunId() != id {
				t.Errorf("run %d is listed as %d", run.GetRunId(), id)
			}
			got = append(got, id)
		}
		slices.Sort(got)
		return got
	}
	for name, test := range map[string]struct {
		req  *flwrpb.ListRunsRequest
		want []uint64
	}{
		"default":    {&flwrpb.ListRunsRequest{}, ids[5:]},
		"limit":      {&flwrpb.ListRunsRequest{Limit: proto.Uint64(2)}, ids[23:]},
		"limit zero": {&flwrpb.ListRunsRequest{Limit: proto.Uint64(0)}, nil},
		"all":        {&flwrpb.ListRunsRequest{Limit: proto.Uint64(1 << 63)}, ids},
		"skip":       {&flwrpb.ListRunsRequest{Limit: proto.Uint64(2), Skip: proto.Uint64(3)}, ids[20:22]},
		"skip all":   {&flwrpb.ListRunsRequest{Skip: proto.Uint64(1<<64 - 1)}, nil},
		"one":        {&flwrpb.ListRunsRequest{RunId: &ids[7]}, ids[7:8]},
	} {
		res := l.list(test.req)
		want := slices.Sorted(slices.Values(test.want))
		if got := keys(res); !slices.Equal(got, want) {
			t.Errorf("%s: listed %v, want %v", name, got, want)
		}
		if _, err := time.Parse(time.RFC3339Nano, res.GetNow()); err != nil {
			t.Errorf("%s: now is %q", name, res.GetNow())
		}
	}
	l.refused("unknown run", flwr.PathListRuns, &flwrpb.ListRunsRequest{RunId: proto.Uint64(5)}, 404, flwr.CodeRunIDNotFound)
}

func TestStopRun(t *testing.T) {
	l := newLink(t)
	pending, running := l.start(), uint64(0)
	first := l.begin(pending)
	running = l.start()
	for _, id := range []uint64{pending, running} {
		res := &flwrpb.StopRunResponse{}
		l.Post(flwr.PathStopRun, &flwrpb.StopRunRequest{RunId: id}).Into(t, res)
		if !res.GetSuccess() {
			t.Errorf("run %d was not stopped", id)
		}
		status := l.list(&flwrpb.ListRunsRequest{RunId: &id}).GetRunDict()[id].GetStatus()
		if status.GetStatus() != "finished" || status.GetSubStatus() != "stopped" {
			t.Errorf("a stopped run is %v", status)
		}
		l.refused("stopped again", flwr.PathStopRun, &flwrpb.StopRunRequest{RunId: id}, 412, flwr.CodeRunFinished)
	}
	if now, err := l.store.Task(t.Context(), first.ID); err != nil || now.Status != task.Finished {
		t.Errorf("the task of a stopped run is %v, %v", now.Status, err)
	}
	l.refused("unknown run", flwr.PathStopRun, &flwrpb.StopRunRequest{RunId: 5}, 404, flwr.CodeRunIDNotFound)
}

// forgetful loses the bundle when a run is created, as the end of an earlier run may.
type forgetful struct {
	state.Store
	lose func(hash string)
}

func (f *forgetful) CreateRun(ctx context.Context, r state.NewRun) (state.Run, error) {
	run, err := f.Store.CreateRun(ctx, r)
	f.lose(r.FABHash)
	return run, err
}

func TestABundleThatIsTakenAwayMeanwhileIsStoredAgain(t *testing.T) {
	var wrapped *forgetful
	l := newLinkWith(t, func(store state.Store) state.Store {
		wrapped = &forgetful{Store: store}
		return wrapped
	})
	wrapped.lose = func(hash string) {
		if err := l.objects.Remove(hash); err != nil {
			t.Error(err)
		}
	}
	run, err := l.store.Run(t.Context(), l.start())
	if err != nil {
		t.Fatal(err)
	}
	if !l.objects.Has(run.FABHash) {
		t.Error("a run was started although its bundle is gone")
	}
}
