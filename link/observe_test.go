package link

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// memberFor connects a new member with a role.
func (l *Link) memberFor(t *testing.T, role join.Role) *p2p.Host {
	t.Helper()
	identity := newIdentity(t)
	must(t, l.Members().Add(t.Context(), membership.MemberRequest{PeerID: identity.ID.String(), Role: role, Name: "a member called so"}))
	h := newLeaf(t, identity)
	must(t, h.Connect(t.Context(), peer.AddrInfo{ID: l.PeerID(), Addrs: l.host.Addresses()}))
	return h
}

// get asks a link over a protocol that carries HTTP.
func get(t *testing.T, h *p2p.Host, id peer.ID, proto protocol.ID, path string) (int, []byte) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return h.DialStream(ctx, id, proto)
	}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://link" + path)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, body
}

func TestStatusOverTheOverlay(t *testing.T) {
	l, _ := startLink(t, testConfig(t.TempDir()))
	node := l.memberFor(t, join.RoleNode)
	greeting, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := greet(greeting, node, reach.Target{Peer: l.PeerID(), Addrs: l.host.Addresses()})
	must(t, err)

	for role, c := range map[join.Role]struct {
		code int
		sees bool // who and where the others are
	}{
		join.RoleOperator: {http.StatusOK, true},
		join.RoleObserver: {http.StatusOK, false},
		join.RoleNode:     {http.StatusForbidden, false},
	} {
		code, body := get(t, l.memberFor(t, role), l.PeerID(), remote.StatusProtocol, "/status")
		if code != c.code {
			t.Errorf("%s got %d, want %d", role, code, c.code)
		}
		if sees := bytes.Contains(body, []byte(node.ID().String())); sees != c.sees {
			t.Errorf("%s sees the peer id of a node: %v, want %v", role, sees, c.sees)
		}
		if code != http.StatusOK {
			continue
		}
		var status admin.Status
		must(t, json.Unmarshal(body, &status))
		if len(status.Nodes) != 1 || (len(status.Members) > 0) != c.sees {
			t.Errorf("%s sees %d nodes and %d members", role, len(status.Nodes), len(status.Members))
		}
		if path := status.Nodes[0].Path; path != nil && (path.Address != "") != c.sees {
			t.Errorf("%s sees the address %q", role, path.Address)
		}
	}
}

// An observer gets the status and nothing else.
func TestObserverGetsNothingElse(t *testing.T) {
	l, _ := startLink(t, testConfig(t.TempDir()))
	observer := l.memberFor(t, join.RoleObserver)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if code, _ := get(t, observer, l.PeerID(), remote.ControlProtocol, "/health"); code != http.StatusForbidden {
		t.Errorf("the Control API answered an observer with %d", code)
	}
	for _, path := range []string{"/", "/members", "/tickets", "/backup", "/v1/control/list-runs", "/v1/runtime/acquire-task"} {
		if code, _ := get(t, observer, l.PeerID(), remote.StatusProtocol, path); code != http.StatusNotFound {
			t.Errorf("the status protocol answered %s with %d", path, code)
		}
	}
	if answer, err := greet(ctx, observer, reach.Target{Peer: l.PeerID(), Addrs: l.host.Addresses()}); err == nil && answer.GetWelcome() != nil {
		t.Error("an observer has a session")
	}
	store, err := objects.OpenDir(t.TempDir(), objects.DirOptions{})
	must(t, err)
	run, id := l.secretRun(t)
	if err := objects.Fetch(ctx, observer, l.PeerID(), run, []string{id}, store, objects.FetchOptions{Patience: time.Second}); err == nil {
		t.Error("an observer got an object")
	}
}
