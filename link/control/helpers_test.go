package control_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/control"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/fab/fabtest"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

const pyproject = `
[project]
name = "quick"
version = "1.2.3"
[tool.flwr.app]
publisher = "me"
[tool.flwr.app.components]
serverapp = "quick.server:app"
clientapp = "quick.client:app"
[tool.flwr.app.config]
rounds = 3
optimizer.rate = 0.5
`

// link is a Control API on a real store.
type link struct {
	t       testing.TB
	store   state.Store
	objects *objects.Dir
	*flwrtest.Client
}

func newLink(t testing.TB) *link {
	t.Helper()
	return newLinkWith(t, func(store state.Store) state.Store { return store })
}

// newLinkWith gives the API a wrapped store; link.store is the real one.
func newLinkWith(t testing.TB, wrap func(state.Store) state.Store) *link {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "state.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	stored, err := objects.OpenDir(filepath.Join(dir, "objects"), objects.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	handler := control.New(control.Config{Store: wrap(store), Objects: stored})
	return &link{t: t, store: store, objects: stored, Client: flwrtest.Serve(t, handler)}
}

// start starts a run of the sample app.
func (l *link) start() uint64 {
	l.t.Helper()
	res := &flwrpb.StartRunResponse{}
	l.Post(flwr.PathStartRun, &flwrpb.StartRunRequest{Fab: &flwrpb.Fab{Content: fabtest.Zip(l.t, "pyproject.toml", pyproject)}}).Into(l.t, res)
	if res.GetRunId() == 0 {
		l.t.Fatal("the run was not started")
	}
	return res.GetRunId()
}

// begin sets the run's task to running, as a SuperExec and a ServerApp do.
func (l *link) begin(runID uint64) task.Task {
	l.t.Helper()
	t, _, ok, err := l.store.ClaimTask(l.t.Context(), []string{task.TypeServerApp})
	if err != nil || !ok || t.RunID != runID {
		l.t.Fatalf("claimed task %+v of run %d: %v", t, runID, err)
	}
	if err := l.store.ActivateTask(l.t.Context(), t.ID); err != nil {
		l.t.Fatal(err)
	}
	return t
}

func (l *link) list(req *flwrpb.ListRunsRequest) *flwrpb.ListRunsResponse {
	l.t.Helper()
	res := &flwrpb.ListRunsResponse{}
	l.Post(flwr.PathListRuns, req).Into(l.t, res)
	return res
}

// refused checks that a request gets an error.
func (l *link) refused(name, path string, req proto.Message, status int, code flwr.Code) {
	l.t.Helper()
	if got := l.Post(path, req); got.Status != status || got.Code() != int(code) {
		l.t.Errorf("%s: got %d %s, want %d code %d", name, got.Status, got.Body, status, code)
	}
}

// publicKey makes a key in the form in which `flwr supernode register` sends it.
func publicKey(t testing.TB, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return encodeKey(t, key.Public())
}

func encodeKey(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// broken is a store on which every operation fails.
type broken struct{ state.Store }

type storeError struct{}

func (storeError) Error() string { return "disk full" }

func (broken) CreateRun(context.Context, state.NewRun) (state.Run, error) {
	return state.Run{}, storeError{}
}
func (broken) Run(context.Context, uint64) (state.Run, error) { return state.Run{}, storeError{} }
func (broken) ListRuns(context.Context, uint64, uint64) ([]state.Run, error) {
	return nil, storeError{}
}
func (broken) FinishRun(context.Context, uint64, task.SubStatus, string) error { return storeError{} }
func (broken) ListNodes(context.Context) ([]state.Node, error)                 { return nil, storeError{} }
func (broken) RegisterNode(context.Context, state.Node) (state.Node, error) {
	return state.Node{}, storeError{}
}
func (broken) UnregisterNode(context.Context, uint64) error { return storeError{} }
