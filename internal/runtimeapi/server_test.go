package runtimeapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// routes are those of apps: what is sent, what is answered, and which method is reached.
var routes = map[string]struct {
	send, answer proto.Message
	method       string
}{
	flwr.PathSendTaskHeartbeat: {&flwrpb.SendTaskHeartbeatRequest{}, &flwrpb.SendTaskHeartbeatResponse{Success: true}, "Heartbeat"},
	flwr.PathPullTaskInput:     {&flwrpb.PullTaskInputRequest{}, &flwrpb.PullTaskInputResponse{TaskId: 7, Context: []byte{}}, "PullTaskInput"},
	flwr.PathPushTaskOutput:    {&flwrpb.PushTaskOutputRequest{SubStatus: "completed"}, &flwrpb.PushTaskOutputResponse{}, "PushTaskOutput"},
	flwr.PathPushMessages: {
		&flwrpb.PushAppMessagesRequest{MessagesList: []*flwrpb.Message{{}}},
		&flwrpb.PushAppMessagesResponse{MessageIds: []string{""}}, "PushMessages",
	},
	flwr.PathPullMessages: {
		&flwrpb.PullAppMessagesRequest{MessageIds: []string{"a"}},
		&flwrpb.PullAppMessagesResponse{MessageObjectTrees: []*flwrpb.ObjectTree{{ObjectId: "a"}}}, "PullMessages",
	},
	flwr.PathPushObject:             {&flwrpb.PushObjectRequest{ObjectContent: []byte("x")}, &flwrpb.PushObjectResponse{Stored: true}, "PushObject"},
	flwr.PathPullObject:             {&flwrpb.PullObjectRequest{ObjectId: "a"}, &flwrpb.PullObjectResponse{}, "PullObject"},
	flwr.PathConfirmMessageReceived: {&flwrpb.ConfirmMessageReceivedRequest{}, &flwrpb.ConfirmMessageReceivedResponse{}, "ConfirmMessageReceived"},
	flwr.PathGetNodes:               {&flwrpb.GetNodesRequest{}, &flwrpb.GetNodesResponse{Nodes: []*flwrpb.NodeInfo{{NodeId: 3}}}, "GetNodes"},
	flwr.PathPushLogs:               {&flwrpb.PushLogsRequest{Logs: []string{"line"}}, &flwrpb.PushLogsResponse{}, "PushLogs"},
}

func TestRoutesReachTheHost(t *testing.T) {
	for path, route := range routes {
		host := newScripted()
		client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{}))
		got := route.answer.ProtoReflect().New().Interface()
		client.Post(path, route.send, flwr.HeaderTaskToken, goodToken).Into(t, got)
		if !proto.Equal(got, route.answer) {
			t.Errorf("%s answers %v, want %v", path, got, route.answer)
		}
		if len(host.calls) != 1 || host.calls[0] != route.method {
			t.Errorf("%s reached %v, want %s", path, host.calls, route.method)
		}
	}
}

func TestBadRequestsDoNotReachTheHost(t *testing.T) {
	for path := range routes {
		host := newScripted()
		client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{}))
		token := []string{flwr.HeaderTaskToken, goodToken}
		for name, test := range map[string]struct {
			answer       flwrtest.Answer
			status, code int
		}{
			"no token":       {client.PostBytes(path, nil), 401, 1008},
			"empty token":    {client.PostBytes(path, nil, flwr.HeaderTaskToken, ""), 401, 1008},
			"foreign token":  {client.PostBytes(path, nil, flwr.HeaderTaskToken, "foreign"), 401, 1008},
			"endless token":  {client.PostBytes(path, nil, flwr.HeaderTaskToken, strings.Repeat("a", 10_000)), 401, 1008},
			"two tokens":     {client.PostBytes(path, nil, flwr.HeaderTaskToken, goodToken, flwr.HeaderTaskToken, goodToken), 401, 1008},
			"store is down":  {client.PostBytes(path, nil, flwr.HeaderTaskToken, brokenToken), 503, 0},
			"JSON":           {client.Do("POST", path, nil, append(token, "Content-Type", "application/json")...), 415, 1002},
			"not protobuf":   {client.PostBytes(path, []byte{0xff}, token...), 400, 1003},
			"truncated":      {client.PostBytes(path, []byte{0x0a, 0x05, 'a'}, token...), 400, 1003},
			"GET":            {client.Do("GET", path, nil, token...), 405, 0},
			"another Flower": {client.PostBytes(path, nil, append(token, versionHeaders("flwr", "1.39.0", "flwr-clientapp")...)...), 412, 1001},
		} {
			if test.answer.Status != test.status || test.answer.Code() != test.code {
				t.Errorf("%s, %s: got %d %s, want %d code %d", path, name, test.answer.Status, test.answer.Body, test.status, test.code)
			}
		}
		if len(host.calls) != 0 {
			t.Errorf("%s: the host was asked %v", path, host.calls)
		}
	}
}

func TestErrorsOfTheHost(t *testing.T) {
	for path, route := range routes {
		for _, test := range []struct {
			err    error
			status int
		}{{errors.New("disk full"), 503}, {flwr.NewError(flwr.CodeRunIDNotFound), 404}, {context.DeadlineExceeded, 503}} {
			if test.status == 503 && patient[path] {
				continue
			}
			host := newScripted()
			host.err = test.err
			client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{}))
			if got := client.Post(path, route.send, flwr.HeaderTaskToken, goodToken); got.Status != test.status {
				t.Errorf("%s, %v: got %d %s, want %d", path, test.err, got.Status, got.Body, test.status)
			}
		}
	}
}

func TestOtherRoutes(t *testing.T) {
	client := flwrtest.Serve(t, runtimeapi.NewHandler(newScripted(), runtimeapi.Options{}))
	for _, path := range flwr.UnsupportedRuntime() {
		if got := client.PostBytes(path, nil); got.Status != 501 || got.Code() != 1 {
			t.Errorf("%s: got %d %s", path, got.Status, got.Body)
		}
	}
	if got := client.PostBytes("/v1/runtime/none", nil); got.Status != 404 || string(got.Body) != `{"detail":"Not Found"}` {
		t.Errorf("unknown route: got %d %s", got.Status, got.Body)
	}
	if got := client.Do("GET", "/health", nil); got.Status != 200 || len(got.Body) != 0 {
		t.Errorf("/health: got %d %s", got.Status, got.Body)
	}
}

func versionHeaders(name, version, component string) []string {
	var header []string
	for key, value := range map[string]string{
		flwr.HeaderPackageName: name, flwr.HeaderPackageVersion: version, flwr.HeaderComponentName: component,
	} {
		if value != "" {
			header = append(header, key, value)
		}
	}
	return header
}

func TestVersions(t *testing.T) {
	client := flwrtest.Serve(t, runtimeapi.NewHandler(newScripted(), runtimeapi.Options{}))
	for _, test := range []struct {
		name, version, component string
		status                   int
	}{
		{"", "", "", 200},
		{"flwr", "1.40.0", "SuperExec", 200},
		{"flwr", "1.41.0", "SuperExec", 200},
		{"flwr", "1.41.7", "SuperExec", 200},
		{"flwr", "1.42.0.dev20261101", "SuperExec", 200},
		{"flwr-nightly", "1.42.0", "SuperExec", 200},
		{"flwr", "1.39.9", "SuperExec", 412},
		{"flwr", "2.41.0", "SuperExec", 412},
		{"flwr", "1.410.0", "SuperExec", 412},
		{"flwr", "1.41x", "SuperExec", 412},
		{"flwr", "abc", "SuperExec", 412},
		{"flwr", "1.41.0", "", 412},
		{"", "1.41.0", "SuperExec", 412},
		{"rhizome", "1.41.0", "SuperExec", 412},
	} {
		got := client.Post(flwr.PathAcquireTask, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{"t"}}, versionHeaders(test.name, test.version, test.component)...)
		if got.Status != test.status || test.status == 412 && got.Code() != 1001 {
			t.Errorf("%q %q %q: got %d %s, want %d", test.name, test.version, test.component, got.Status, got.Body, test.status)
		}
	}
}

func TestAcquireTask(t *testing.T) {
	client := flwrtest.Serve(t, runtimeapi.NewHandler(newScripted(), runtimeapi.Options{}))
	got := &flwrpb.AcquireTaskResponse{}
	client.Post(flwr.PathAcquireTask, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{"flwr-clientapp"}}).Into(t, got)
	if got.GetTask().GetType() != "flwr-clientapp" || got.GetToken() != goodToken {
		t.Errorf("got %v", got)
	}
}

func TestPushObjectPassesAsAStream(t *testing.T) {
	host := newScripted()
	client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{}))
	content := bytes.Repeat([]byte("0123456789"), 1<<20)
	push := &flwrpb.PushObjectRequest{Node: &flwrpb.Node{NodeId: 1}, RunId: 9, ObjectId: "id", ObjectContent: content, SessionId: "s"}
	got := &flwrpb.PushObjectResponse{}
	client.Post(flwr.PathPushObject, push, flwr.HeaderTaskToken, goodToken).Into(t, got)
	want := runtimeapi.ObjectPush{NodeID: 1, RunID: 9, ObjectID: "id", Size: int64(len(content))}
	if !got.GetStored() || host.push != want || !bytes.Equal(host.pushed, content) {
		t.Errorf("stored %v, the host got %+v with %d bytes", got.GetStored(), host.push, len(host.pushed))
	}
	host.readNothing = true
	got = &flwrpb.PushObjectResponse{Stored: true}
	client.Post(flwr.PathPushObject, push, flwr.HeaderTaskToken, goodToken).Into(t, got)
	if got.GetStored() {
		t.Error("an object that the host did not want is said to be stored")
	}
}

func TestPushObjectWithABadEndIsRefused(t *testing.T) {
	client := flwrtest.Serve(t, runtimeapi.NewHandler(newScripted(), runtimeapi.Options{}))
	body := []byte{4<<3 | 2, 1, 'x', 5<<3 | 2, 100, 's'}
	if got := client.PostBytes(flwr.PathPushObject, body, flwr.HeaderTaskToken, goodToken); got.Status != 400 || got.Code() != 1003 {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}

// content is an object's content that records whether it was closed.
type content struct {
	*bytes.Reader
	closed chan struct{}
}

func (c content) Close() error {
	close(c.closed)
	return nil
}

func TestPullObject(t *testing.T) {
	host := newScripted()
	client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{}))
	for name, test := range map[string]struct {
		found, there bool
	}{"unknown": {false, false}, "on its way": {true, false}, "there": {true, true}} {
		host.object = runtimeapi.Object{Found: test.found}
		own := content{bytes.NewReader([]byte("bytes")), make(chan struct{})}
		if test.there {
			host.object.Content, host.object.Size = own, 5
		}
		got := &flwrpb.PullObjectResponse{}
		client.Post(flwr.PathPullObject, &flwrpb.PullObjectRequest{}, flwr.HeaderTaskToken, goodToken).Into(t, got)
		if got.GetObjectFound() != test.found || got.GetObjectAvailable() != test.there || (string(got.GetObjectContent()) == "bytes") != test.there {
			t.Errorf("%s: got %v", name, got)
		}
		if test.there {
			<-own.closed
		}
	}
}

// patient lists the routes on which an app that exits gets only one attempt.
var patient = map[string]bool{flwr.PathPushTaskOutput: true, flwr.PathPushLogs: true}

func TestWhatAnAppCanNotKeepWaitsForRoom(t *testing.T) {
	const full = 45 * time.Minute
	for path := range patient {
		for name, test := range map[string]struct {
			after  func(*scripted, *flwrtest.Client)
			status int
		}{
			"there is room again": {func(h *scripted, _ *flwrtest.Client) { h.fail(nil) }, 200},
			"the run is stopped":  {func(h *scripted, _ *flwrtest.Client) { h.fail(flwr.NewError(flwr.CodeRunIDNotFound)) }, 404},
			"the server stops":    {func(_ *scripted, c *flwrtest.Client) { c.Stop() }, 503},
		} {
			synctest.Test(t, func(t *testing.T) {
				host := newScripted()
				host.fail(errors.New("disk full"))
				client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{}))
				time.AfterFunc(full, func() { test.after(host, client) })
				start := time.Now()
				got := client.Post(path, routes[path].send, flwr.HeaderTaskToken, goodToken)
				if took := time.Since(start); got.Status != test.status || took < full || took > full+time.Second {
					t.Errorf("%s, %s: got %d %s after %s", path, name, got.Status, got.Body, took)
				}
				tries := host.count()
				if <-time.After(time.Minute); host.count() != tries {
					t.Errorf("%s, %s: tried again after the answer", path, name)
				}
			})
		}
	}
}

func TestEndsOfTasks(t *testing.T) {
	host := newScripted()
	client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{}))
	post := func(path, body string, header ...string) flwrtest.Answer {
		return client.Do("POST", path, strings.NewReader(body), append([]string{"Content-Type", "application/json"}, header...)...)
	}
	token := []string{flwr.HeaderTaskToken, goodToken}
	if got := post(task.PathReportExit, `{"code":-1,"signal":"killed","detail":"out of memory"}`, token...); got.Status != 204 {
		t.Errorf("report: got %d %s", got.Status, got.Body)
	}
	if want := (task.Exit{Code: -1, Signal: "killed", Detail: "out of memory"}); host.exit != want {
		t.Errorf("the host was told %+v", host.exit)
	}
	for _, bad := range []string{"", "{", `{"code":"x"}`, `[]`, `{"detail":"` + strings.Repeat("x", 1<<20)} {
		if got := post(task.PathReportExit, bad, token...); got.Status != 400 {
			t.Errorf("report %.20q: got %d %s", bad, got.Status, got.Body)
		}
	}
	if got := post(task.PathAwaitTaskEnd, "", token...); got.Status != 204 {
		t.Errorf("await: got %d %s", got.Status, got.Body)
	}
	for _, path := range []string{task.PathAwaitTaskEnd, task.PathReportExit} {
		if got := post(path, "{}", flwr.HeaderTaskToken, "foreign"); got.Status != 401 {
			t.Errorf("%s with a foreign token: got %d %s", path, got.Status, got.Body)
		}
	}
}

func TestWaitingRequests(t *testing.T) {
	for _, path := range []string{flwr.PathAcquireTask, flwr.PathPullTaskInput, flwr.PathPullMessages, flwr.PathPullObject, task.PathAwaitTaskEnd} {
		send := proto.Message(&flwrpb.GetNodesRequest{}) // empty, as most routes accept
		if path == flwr.PathAcquireTask {
			send = &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{"t"}}
		}
		for name, test := range map[string]struct {
			wait            func(context.Context) error
			took            time.Duration
			status, status2 int
		}{
			"something happens": {func(context.Context) error { time.Sleep(95 * time.Second); return nil }, 95 * time.Second, 200, 204},
			"nothing happens":   {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 10 * time.Minute, 503, 503},
		} {
			synctest.Test(t, func(t *testing.T) {
				host := newScripted()
				host.wait = test.wait
				client := flwrtest.Serve(t, runtimeapi.NewHandler(host, runtimeapi.Options{}))
				start := time.Now()
				got := client.Post(path, send, flwr.HeaderTaskToken, goodToken)
				if took := time.Since(start); got.Status != test.status && got.Status != test.status2 || took != test.took {
					t.Errorf("%s, %s: got %d %s after %s", path, name, got.Status, got.Body, took)
				}
				if interim := client.Interim.Load(); interim < int32(test.took/flwr.KeepAlive)-1 {
					t.Errorf("%s, %s: %d interim responses in %s", path, name, interim, test.took)
				}
			})
		}
	}
}

// FuzzRoutes shows that the worst any body can bring about is a refusal.
func FuzzRoutes(f *testing.F) {
	paths := []string{task.PathReportExit, flwr.PathAcquireTask}
	for path, route := range routes {
		paths = append(paths, path)
		body, err := flwr.Marshal(route.send)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(len(paths)-1), body)
	}
	f.Add(uint8(0), []byte(`{"code":1}`))
	f.Add(uint8(1), []byte{0x0a, 1, 'a'})
	handler := runtimeapi.NewHandler(tolerant{newScripted()}, runtimeapi.Options{})
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		path := paths[int(which)%len(paths)]
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", flwr.TypeProtobuf)
		r.Header.Set(flwr.HeaderTaskToken, goodToken)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusNoContent, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("%s %x: status %d", path, body, w.Code)
		}
	})
}

// tolerant also answers requests that name nothing.
type tolerant struct{ *scripted }

func (tolerant) AcquireTask(context.Context, *flwrpb.AcquireTaskRequest) (*flwrpb.AcquireTaskResponse, error) {
	return &flwrpb.AcquireTaskResponse{}, nil
}

func (h tolerant) PushObject(_ context.Context, _ task.Task, push runtimeapi.ObjectPush, body io.Reader) (bool, error) {
	n, err := io.Copy(io.Discard, body)
	return n == push.Size, err
}
