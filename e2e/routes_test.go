package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

var controlRoutes = []string{
	flwr.PathStartRun, flwr.PathListRuns, flwr.PathStopRun, flwr.PathStreamLogs, flwr.PathPullArtifacts,
	flwr.PathRegisterNode, flwr.PathUnregisterNode, flwr.PathListNodes, flwr.PathListFederations, flwr.PathShowFederation,
}

var taskRoutes = []string{
	flwr.PathSendTaskHeartbeat, flwr.PathPullTaskInput, flwr.PathPushTaskOutput, flwr.PathPushMessages, flwr.PathPullMessages,
	flwr.PathPushObject, flwr.PathPullObject, flwr.PathConfirmMessageReceived, flwr.PathGetNodes, flwr.PathPushLogs,
}

var fleetRoutes = []string{
	flwr.PathFleetRegisterNode, flwr.PathFleetActivateNode, flwr.PathFleetDeactivateNode, flwr.PathFleetUnregisterNode,
	flwr.PathFleetSendNodeHeartbeat, flwr.PathFleetPullMessages, flwr.PathFleetPushMessages, flwr.PathFleetGetRun,
	flwr.PathFleetGetFAB, flwr.PathFleetPushObject, flwr.PathFleetPullObject, flwr.PathFleetConfirmMessageReceived,
}

// answer is how a route responded to a bad request.
type answer struct {
	status int
	code   flwr.Code
	text   string
}

// post sends a request as a stranger would.
func post(t *testing.T, address, path, contentType string, header http.Header, body []byte) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", contentType)
	client := http.Client{Timeout: 20 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var told struct {
		Code flwr.Code `json:"code"`
	}
	_ = json.Unmarshal(text, &told) // success is protobuf
	return answer{res.StatusCode, told.Code, string(text)}
}

// notProtobuf returns bodies that no route can read: a length that reaches beyond the end,
// and bytes that do not begin with a field.
func notProtobuf() map[string][]byte {
	source := rand.New(rand.NewPCG(1, 2))
	random := []byte{0x07}
	for range 200 {
		random = append(random, byte(source.Uint32()))
	}
	return map[string][]byte{"truncated": {0x0a, 0x64, 1, 2, 3}, "random": random}
}

func TestRoutesRefuseWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	// A host with a SuperExec of its own would demand its secret before it looks at a request for a task.
	_, link := w.Link("--fleet-http", "--isolation", "process")
	node := w.RuntimeAddress(w.Nodes(1, "--isolation", "process")[0])
	foreign := http.Header{}
	foreign.Set(flwr.HeaderTaskToken, "00112233445566778899aabbccddeeff")

	want := func(what, path string, got answer, code flwr.Code) {
		t.Helper()
		if got.code != code {
			t.Errorf("%s: %s answers %d %s, want code %d", path, what, got.status, got.text, code)
		}
	}
	for what, body := range notProtobuf() {
		for _, path := range append(controlRoutes, flwr.PathAcquireTask) {
			want(what, path, post(t, link, path, flwr.TypeProtobuf, nil, body), flwr.CodeInvalidProtobuf)
		}
		want(what, flwr.PathAcquireTask, post(t, node, flwr.PathAcquireTask, flwr.TypeProtobuf, nil, body), flwr.CodeInvalidProtobuf)
		for _, path := range taskRoutes {
			for _, host := range []string{link, node} {
				want(what+" without a token", path, post(t, host, path, flwr.TypeProtobuf, nil, body), flwr.CodeAuthenticationFailed)
				want(what+" with a foreign token", path, post(t, host, path, flwr.TypeProtobuf, foreign, body), flwr.CodeAuthenticationFailed)
			}
		}
		for _, path := range fleetRoutes {
			// Stock Flower gives no code when a SuperNode's signature is missing.
			if got := post(t, link, path, flwr.TypeProtobuf, nil, body); got.status != http.StatusUnauthorized {
				t.Errorf("%s: %s of nobody answers %d %s, want 401", path, what, got.status, got.text)
			}
		}
	}
	for _, path := range append(controlRoutes, flwr.PathAcquireTask) {
		want("JSON", path, post(t, link, path, "application/json", nil, []byte("{}")), flwr.CodeUnsupportedContentType)
	}
	for _, path := range taskRoutes {
		want("JSON", path, post(t, node, path, "application/json", foreign, []byte("{}")), flwr.CodeUnsupportedContentType)
	}
	for _, path := range fleetRoutes {
		want("JSON", path, post(t, link, path, "application/json", nil, []byte("{}")), flwr.CodeUnsupportedContentType)
	}
	for _, path := range append(flwr.UnsupportedControl(), flwr.UnsupportedRuntime()...) {
		if got := post(t, link, path, flwr.TypeProtobuf, nil, nil); got.status != http.StatusNotImplemented || got.code != flwr.CodeFederationManagement {
			t.Errorf("%s answers %d %s", path, got.status, got.text)
		}
	}
	if got := post(t, link, "/v1/control/no-such-route", flwr.TypeProtobuf, nil, nil); got.status != http.StatusNotFound {
		t.Errorf("a route that does not exist answers %d %s", got.status, got.text)
	}
	w.SuperExec(link)
	w.SuperExec(node)
	checkUnharmed(t, w, link)
}

func TestControlRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, link := w.Link()
	w.Nodes(1)
	const unknown = 1234567
	for _, c := range []struct {
		what, path string
		req        proto.Message
		code       flwr.Code
	}{
		{"a run", flwr.PathListRuns, &flwrpb.ListRunsRequest{RunId: proto.Uint64(unknown)}, flwr.CodeRunIDNotFound},
		{"a run", flwr.PathStopRun, &flwrpb.StopRunRequest{RunId: unknown}, flwr.CodeRunIDNotFound},
		{"a run", flwr.PathStreamLogs, &flwrpb.StreamLogsRequest{RunId: unknown}, flwr.CodeRunIDNotFound},
		{"artifacts", flwr.PathPullArtifacts, &flwrpb.PullArtifactsRequest{RunId: unknown}, flwr.CodeNoArtifactProvider},
		{"a node", flwr.PathUnregisterNode, &flwrpb.UnregisterNodeRequest{NodeId: unknown}, flwr.CodeNodeNotFound},
		{"a key that is none", flwr.PathRegisterNode, &flwrpb.RegisterNodeRequest{PublicKey: []byte("no key")}, flwr.CodeInvalidPublicKey},
		{"no app", flwr.PathStartRun, &flwrpb.StartRunRequest{}, flwr.CodeInvalidRunConfig},
		{"no zip", flwr.PathStartRun, bundle([]byte("no zip")), flwr.CodeInvalidRunConfig},
		{"no pyproject", flwr.PathStartRun, bundle(zipped(t, "app.py", "")), flwr.CodeInvalidRunConfig},
		{"escapes its folder", flwr.PathStartRun, bundle(zipped(t, "pyproject.toml", "", "../../escaped.py", "")), flwr.CodeInvalidRunConfig},
		{"inflates to gigabytes", flwr.PathStartRun, bundle(zipped(t, "pyproject.toml", "", "zeros", gigabytes)), flwr.CodeInvalidRunConfig},
		{"another hash", flwr.PathStartRun, &flwrpb.StartRunRequest{Fab: &flwrpb.Fab{
			Content: zipped(t, "pyproject.toml", ""), HashStr: hex.EncodeToString(make([]byte, 32)),
		}}, flwr.CodeInvalidRunConfig},
	} {
		body, err := flwr.Marshal(c.req)
		if err != nil {
			t.Fatal(err)
		}
		if got := post(t, link, c.path, flwr.TypeProtobuf, nil, body); got.code != c.code {
			t.Errorf("%s, %s: answers %d %s, want code %d", c.path, c.what, got.status, got.text, c.code)
		}
	}
	body, err := flwr.Marshal(bundle(make([]byte, 10<<20+1)))
	if err != nil {
		t.Fatal(err)
	}
	// Stock Flower does the same: when an answer has no run id, flwr says "Failed to start
	// run".
	if got := post(t, link, flwr.PathStartRun, flwr.TypeProtobuf, nil, body); got != (answer{status: http.StatusOK}) {
		t.Errorf("an app of more than 10 MiB: answers %d %s", got.status, got.text)
	}
	checkUnharmed(t, w, link)
}

// checkUnharmed expects no trace of what was refused, and a run that works.
func checkUnharmed(t *testing.T, w *world.World, link string) {
	t.Helper()
	f := w.Flwr(link)
	var runs struct{ Runs []world.RunRow }
	f.JSON(&runs, "ls", "test")
	if ids := f.NodeIDs(); len(runs.Runs) != 0 || len(ids) != 1 {
		t.Errorf("there are runs %v and nodes %v", runs.Runs, ids)
	}
	p := w.Probe("ok")
	if out := f.Run("run", p.Dir, "test", "--stream", "-c", p.Config()); !strings.Contains(out, "outcome: ok") {
		t.Errorf("the next run:\n%s", world.Tail(out, 30))
	}
}

func bundle(content []byte) *flwrpb.StartRunRequest {
	return &flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: content}}
}

// gigabytes stands for 2 GiB of zeros as a content.
const gigabytes = "gigabytes"

// zipped packs pairs of names and contents.
func zipped(t *testing.T, files ...string) []byte {
	t.Helper()
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	for i := 0; i < len(files); i += 2 {
		file, err := archive.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		content := io.Reader(strings.NewReader(files[i+1]))
		if files[i+1] == gigabytes {
			content = io.LimitReader(zeros{}, 2<<30)
		}
		if _, err := io.Copy(file, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
