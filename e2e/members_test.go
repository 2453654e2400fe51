package e2e

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/e2e/world"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

func TestNodeInfoShowsNameAndPublicKey(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, address := w.Link()
	w.Node(w.Ticket(), 0, 1, "--location", "52.5,13.4")
	info := nodeInfos(t, address)[0]
	// All a stock client does with a key is show it; ours is the key behind the peer id.
	if info.GetName() != "node0" || info.GetLocation() != "52.5,13.4" || !strings.HasPrefix(string(info.GetPublicKey()), "-----BEGIN PUBLIC KEY-----") {
		t.Errorf("a Rhizome node is listed as %v", info)
	}
}

// A node can be removed in two ways, and both do the same.
func TestRemovedNodeIsCutOffForEver(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	_, address := w.Link()
	f := w.Flwr(address)
	ids := w.NamedNodes(f, 3)
	peers := map[string]string{}
	for _, m := range members(w) {
		peers[m.Name] = m.PeerID
	}

	f.Run("supernode", "unregister", ids["node0"], "test")
	w.Command("member", "rm", "--data", w.Path("link"), peers["node1"])
	for _, name := range []string{"node0", "node1"} {
		d := w.Daemon(name)
		w.Eventually(name+" ends", world.StopLimit, d.Ended)
		if last := world.Tail(d.Output(), 1); !strings.HasPrefix(last, "rhizome: ") || !strings.Contains(last, "is not a member") {
			t.Errorf("%s does not say why it has ended: %q", name, last)
		}
		// It cannot come back, whether with its data or with a new ticket.
		refused(t, w, "is not a member", "node", "--data", w.Path(name), "--isolation", "process", "--listen", "none")
		refused(t, w, "", "node", "--data", w.Path(name), "--isolation", "process", "--listen", "none", "--join", w.Ticket())
	}
	if left := f.NodeIDs(); len(left) != 1 || left[0] != ids["node2"] {
		t.Errorf("nodes %v are online, want node2 alone, %s", left, ids["node2"])
	}
	for _, m := range members(w) {
		if removed := m.RevokedAt != nil; removed != (m.Name != "node2") {
			t.Errorf("member %s is removed: %v", m.Name, removed)
		}
	}
	for _, info := range nodeInfos(t, address) {
		if want := map[bool]string{true: "online", false: "unregistered"}[info.GetName() == "node2"]; info.GetStatus() != want {
			t.Errorf("%s is listed as %s, want %s", info.GetName(), info.GetStatus(), want)
		}
	}
	for _, name := range []string{"node0", "node1"} {
		if out, errs, code := f.Try("supernode", "unregister", ids[name], "test"); code == 0 || !strings.Contains(out+errs, "code: 24") {
			t.Errorf("%s is unregistered again: %d\n%s%s", name, code, out, errs)
		}
	}
}

func members(w *world.World) (list []membership.Member) {
	w.JSON(&list, "member", "ls", "--data", w.Path("link"), "--json")
	return list
}

// nodeInfos is what the Control API lists; flwr shows only part of it.
func nodeInfos(t *testing.T, address string) []*flwrpb.NodeInfo {
	t.Helper()
	got := post(t, address, flwr.PathListNodes, flwr.TypeProtobuf, nil, nil)
	var list flwrpb.ListNodesResponse
	if err := proto.Unmarshal([]byte(got.text), &list); got.status != http.StatusOK || err != nil || len(list.GetNodesInfo()) == 0 {
		t.Fatalf("list-nodes: %d %v %v", got.status, err, &list)
	}
	return list.GetNodesInfo()
}
