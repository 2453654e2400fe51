package control_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/control"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/fab/fabtest"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// core holds the routes that need no login, and those that take an account.
var (
	openRoutes    = []string{flwr.PathGetLoginDetails, flwr.PathGetAuthTokens, flwr.PathRefreshAuthTokens}
	accountRoutes = []string{
		flwr.PathStartRun, flwr.PathListRuns, flwr.PathStopRun, flwr.PathStreamLogs, flwr.PathPullArtifacts, flwr.PathListNodes,
		flwr.PathRegisterNode, flwr.PathUnregisterNode, flwr.PathListFederations, flwr.PathShowFederation,
	}
)

func TestBadRequests(t *testing.T) {
	l := newLink(t)
	for _, path := range append(append([]string{}, openRoutes...), accountRoutes...) {
		if got := l.PostBytes(path, []byte{0xff, 0xff}); got.Status != 400 || got.Code() != 1003 {
			t.Errorf("%s, no protobuf: got %d %s", path, got.Status, got.Body)
		}
		if got := l.Do("POST", path, nil, "Content-Type", "text/plain"); got.Status != 415 || got.Code() != 1002 {
			t.Errorf("%s, text: got %d %s", path, got.Status, got.Body)
		}
		if got := l.Do("GET", path, nil); got.Status != 405 || got.Header.Get("Allow") != "POST" {
			t.Errorf("%s, GET: got %d %s", path, got.Status, got.Body)
		}
	}
	for _, path := range flwr.UnsupportedControl() {
		if got := l.PostBytes(path, nil); got.Status != 501 || got.Code() != 1 {
			t.Errorf("%s: got %d %s", path, got.Status, got.Body)
		}
	}
	if got := l.PostBytes("/v1/control/none", nil); got.Status != 404 || string(got.Body) != `{"detail":"Not Found"}` {
		t.Errorf("unknown route: got %d %s", got.Status, got.Body)
	}
}

func TestAuthorizationIsNotNeededButMustBeWellFormed(t *testing.T) {
	l := newLink(t)
	for name, test := range map[string]struct {
		header []string
		status int
	}{
		"none":       {nil, 200},
		"any":        {[]string{"Authorization", "Bearer abc"}, 200},
		"lower case": {[]string{"Authorization", "bearer abc"}, 200},
		"no token":   {[]string{"Authorization", "Bearer "}, 401},
		"basic":      {[]string{"Authorization", "Basic abc"}, 401},
		"no scheme":  {[]string{"Authorization", "abc"}, 401},
		"two":        {[]string{"Authorization", "Bearer abc", "Authorization", "Bearer abc"}, 401},
	} {
		got := l.PostBytes(flwr.PathListRuns, nil, test.header...)
		if got.Status != test.status {
			t.Errorf("%s: got %d %s, want %d", name, got.Status, got.Body, test.status)
		}
		if got.Status == 401 && (string(got.Body) != `{"detail":"Not authenticated"}` || got.Header.Get("WWW-Authenticate") != "Bearer") {
			t.Errorf("%s: got %s, challenge %q", name, got.Body, got.Header.Get("WWW-Authenticate"))
		}
		// The header is checked before the body, as in stock Flower, and not at all for a login.
		if got := l.PostBytes(flwr.PathListRuns, []byte{0xff}, test.header...); test.status == 401 && got.Status != 401 {
			t.Errorf("%s with a bad body: got %d", name, got.Status)
		}
		if got := l.PostBytes(flwr.PathGetLoginDetails, nil, test.header...); got.Status != 200 {
			t.Errorf("%s at the login: got %d %s", name, got.Status, got.Body)
		}
	}
}

func TestLogin(t *testing.T) {
	l := newLink(t)
	details := &flwrpb.GetLoginDetailsResponse{}
	l.PostBytes(flwr.PathGetLoginDetails, nil).Into(t, details)
	if details.GetAuthnType() != "noop" {
		t.Errorf("got %v", details)
	}
	l.refused("tokens", flwr.PathGetAuthTokens, &flwrpb.GetAuthTokensRequest{DeviceCode: "x"}, 501, flwr.CodeNoAccountAuth)
	l.refused("refresh", flwr.PathRefreshAuthTokens, &flwrpb.RefreshAuthTokensRequest{RefreshToken: "x"}, 401, flwr.CodeAccountAuthenticationFailed)
	for _, path := range openRoutes {
		got := l.PostBytes(path, nil)
		if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Pragma") != "no-cache" {
			t.Errorf("%s may be cached: %v", path, got.Header)
		}
	}
}

func TestPullArtifacts(t *testing.T) {
	newLink(t).refused("artifacts", flwr.PathPullArtifacts, &flwrpb.PullArtifactsRequest{RunId: 5}, 501, flwr.CodeNoArtifactProvider)
}

func TestFederation(t *testing.T) {
	l := newLink(t)
	run := l.start()
	listed := &flwrpb.ListFederationsResponse{}
	l.PostBytes(flwr.PathListFederations, nil).Into(t, listed)
	if len(listed.GetFederations()) != 1 || listed.Federations[0].GetName() != "@none/default" || len(listed.Federations[0].GetMembers()) != 1 {
		t.Errorf("listed %v", listed)
	}
	node := &flwrpb.RegisterNodeResponse{}
	l.Post(flwr.PathRegisterNode, &flwrpb.RegisterNodeRequest{PublicKey: publicKey(t, elliptic.P384())}).Into(t, node)
	shown := &flwrpb.ShowFederationResponse{}
	l.Post(flwr.PathShowFederation, &flwrpb.ShowFederationRequest{FederationName: "@none/default"}).Into(t, shown)
	fed := shown.GetFederation()
	if len(fed.GetNodes()) != 1 || fed.Nodes[0].GetNodeId() != node.GetNodeId() || len(fed.GetRuns()) != 1 || fed.Runs[0].GetRunId() != run {
		t.Errorf("shown %v", shown)
	}
	l.refused("another", flwr.PathShowFederation, &flwrpb.ShowFederationRequest{FederationName: "@me/mine"}, 412, flwr.CodeFederationNotMember)
}

func TestRegisterNode(t *testing.T) {
	l := newLink(t)
	key := publicKey(t, elliptic.P384())
	res := &flwrpb.RegisterNodeResponse{}
	l.Post(flwr.PathRegisterNode, &flwrpb.RegisterNodeRequest{PublicKey: key, Location: proto.String("48.1, -11.5"), Name: proto.String("ward 3")}).Into(t, res)
	nodes := &flwrpb.ListNodesResponse{}
	l.PostBytes(flwr.PathListNodes, nil).Into(t, nodes)
	if len(nodes.GetNodesInfo()) != 1 {
		t.Fatalf("listed %v", nodes)
	}
	got := nodes.NodesInfo[0]
	if got.GetNodeId() != res.GetNodeId() || got.GetStatus() != "registered" || got.GetName() != "ward 3" || got.GetLocation() != "48.1, -11.5" ||
		!bytes.Equal(got.GetPublicKey(), key) || got.GetOwnerName() != "none" {
		t.Errorf("listed %v", got)
	}
	for _, at := range []string{got.GetRegisteredAt(), nodes.GetNow()} {
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
			t.Error(err)
		}
	}
	l.refused("key in use", flwr.PathRegisterNode, &flwrpb.RegisterNodeRequest{PublicKey: key}, 412, flwr.CodePublicKeyInUse)

	l.Post(flwr.PathUnregisterNode, &flwrpb.UnregisterNodeRequest{NodeId: res.GetNodeId()}).Into(t, &flwrpb.UnregisterNodeResponse{})
	l.PostBytes(flwr.PathListNodes, nil).Into(t, nodes)
	if status := nodes.GetNodesInfo()[0].GetStatus(); status != "unregistered" {
		t.Errorf("an unregistered node is %q", status)
	}
	l.refused("unregistered again", flwr.PathUnregisterNode, &flwrpb.UnregisterNodeRequest{NodeId: res.GetNodeId()}, 404, flwr.CodeNodeNotFound)
	l.refused("unknown node", flwr.PathUnregisterNode, &flwrpb.UnregisterNodeRequest{NodeId: 5}, 404, flwr.CodeNodeNotFound)
	l.refused("key of an unregistered node", flwr.PathRegisterNode, &flwrpb.RegisterNodeRequest{PublicKey: key}, 412, flwr.CodePublicKeyInUse)
}

func TestRegisterNodeRefusals(t *testing.T) {
	l := newLink(t)
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := publicKey(t, elliptic.P256())
	for name, key := range map[string][]byte{
		"empty": nil, "text": []byte("ssh-ed25519 AAAA"), "cut": good[:60], "Ed25519": encodeKey(t, edwards),
		"certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
	} {
		l.refused(name, flwr.PathRegisterNode, &flwrpb.RegisterNodeRequest{PublicKey: key}, 412, flwr.CodeInvalidPublicKey)
	}
	for _, location := range []string{"", "home", "1", "1,2,3", "91,0", "0,181", "NaN,0", "0,inf", strings.Repeat("1", 100) + ",0"} {
		l.refused("location "+location, flwr.PathRegisterNode, &flwrpb.RegisterNodeRequest{PublicKey: good, Location: &location}, 400, flwr.CodeInvalidLocation)
	}
	for _, name := range []string{"a\nb", "\x1b[31m", strings.Repeat("x", 1000)} {
		l.refused("name", flwr.PathRegisterNode, &flwrpb.RegisterNodeRequest{PublicKey: good, Name: &name}, 400, 0)
	}
	nodes := &flwrpb.ListNodesResponse{}
	l.PostBytes(flwr.PathListNodes, nil).Into(t, nodes)
	if len(nodes.GetNodesInfo()) != 0 {
		t.Errorf("refused requests registered %v", nodes)
	}
}

func TestAFailingStoreIsATemporaryFailure(t *testing.T) {
	l := newLinkWith(t, func(store state.Store) state.Store { return broken{store} })
	for path, req := range map[string]proto.Message{
		flwr.PathStartRun:       &flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: fabtest.Zip(t, "pyproject.toml", pyproject)}},
		flwr.PathListRuns:       &flwrpb.ListRunsRequest{},
		flwr.PathStopRun:        &flwrpb.StopRunRequest{RunId: 5},
		flwr.PathStreamLogs:     &flwrpb.StreamLogsRequest{RunId: 5},
		flwr.PathListNodes:      &flwrpb.ListNodesRequest{},
		flwr.PathRegisterNode:   &flwrpb.RegisterNodeRequest{PublicKey: publicKey(t, elliptic.P384())},
		flwr.PathUnregisterNode: &flwrpb.UnregisterNodeRequest{NodeId: 5},
		flwr.PathShowFederation: &flwrpb.ShowFederationRequest{FederationName: "@none/default"},
	} {
		if got := l.Post(path, req); got.Status != 503 || strings.Contains(string(got.Body), "disk") {
			t.Errorf("%s: got %d %s", path, got.Status, got.Body)
		}
	}
}

// FuzzRoutes proves that, whatever the body, the API does no more than refuse it.
func FuzzRoutes(f *testing.F) {
	paths := append(append([]string{}, openRoutes...), accountRoutes...)
	for i, req := range []proto.Message{
		&flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: []byte("PK")}, SeriesId: proto.Uint64(5)},
		&flwrpb.ListRunsRequest{Limit: proto.Uint64(1 << 63), Skip: proto.Uint64(1 << 63)},
		&flwrpb.RegisterNodeRequest{PublicKey: publicKey(f, elliptic.P384()), Location: proto.String("1,2")},
		&flwrpb.ShowFederationRequest{FederationName: "@none/default"},
	} {
		body, err := flwr.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(len(openRoutes)+i), body)
	}
	dir := f.TempDir()
	store, err := sqlite.Open(f.Context(), filepath.Join(dir, "state.db"), sqlite.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	stored, err := objects.OpenDir(filepath.Join(dir, "objects"), objects.DirOptions{})
	if err != nil {
		f.Fatal(err)
	}
	handler := control.New(control.Config{Store: store, Objects: stored})
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		path := paths[int(which)%len(paths)]
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", flwr.TypeProtobuf)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError || w.Code == http.StatusServiceUnavailable {
			t.Fatalf("%s %x: status %d %s", path, body, w.Code, w.Body)
		}
	})
}
