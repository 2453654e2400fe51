package sessions

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/swarm"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// share stores an instruction for a node, whose content is an object that others get too.
func (h *hub) share(runID, nodeID uint64, model string) string {
	h.t.Helper()
	md := &flwrpb.Metadata{RunId: runID, SrcNodeId: 1, DstNodeId: nodeID, MessageType: "train", CreatedAt: now(), Ttl: 3600}
	msg := &flwrpb.Message{Metadata: md, Content: []byte{}}
	content, id, err := object.BuildMessage(msg, model)
	must(h.t, err)
	put(h.t, h.objects, content)
	md.MessageId = id
	tree := &flwrpb.ObjectTree{ObjectId: id, Children: []*flwrpb.ObjectTree{{ObjectId: model}}}
	must(h.t, h.store.RegisterObjects(h.t.Context(), runID, []string{id, model}))
	refused, err := h.store.InsertInstructions(h.t.Context(), []state.Message{{
		ID: id, RunID: runID, NodeID: nodeID, State: state.Waiting,
		Proto: encode(h.t, msg), Tree: encode(h.t, tree), CreatedAt: md.GetCreatedAt(), TTL: md.GetTtl(),
	}})
	must(h.t, err)
	must(h.t, refused[0])
	return id
}

// welcomed opens a session and returns its Welcome.
func (n *scripted) welcomed(hello *sessionpb.Hello) *sessionpb.Welcome {
	n.t.Helper()
	for _, addr := range n.host.Addrs() {
		hello.Addrs = append(hello.Addrs, addr.Bytes())
	}
	n.dial()
	hello.Version = version
	n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: hello}})
	welcome := n.next().GetWelcome()
	n.id = welcome.GetNodeId()
	return welcome
}

// peersAre expects to be told of exactly these nodes.
func (n *scripted) peersAre(runID uint64, want ...*scripted) {
	n.t.Helper()
	frame := n.next()
	told := frame.GetPeers()
	if told == nil || told.GetRunId() != runID || len(told.GetPeers()) != len(want) {
		n.t.Fatalf("got %v, want %d peers", frame, len(want))
	}
	byID := make(map[string]*sessionpb.Provider)
	for _, p := range told.GetPeers() {
		byID[string(p.GetPeerId())] = p
	}
	for _, node := range want {
		if p := byID[string(node.host.ID())]; p == nil || len(p.GetAddrs()) == 0 {
			n.t.Fatalf("%s is missing, or without an address, in %v", node.host.ID(), told)
		}
	}
}

func swarming(c *Config) { c.Swarm = true }

func TestNodesOfARunAreNamedToEachOther(t *testing.T) {
	h := newHub(t, swarming)
	run := h.run()
	model := h.put("a model")
	a, b, c := newNode(t, h), newNode(t, h), newNode(t, h)
	for _, n := range []*scripted{a, b, c} {
		if n.welcomed(&sessionpb.Hello{DeclineSwarm: n == c}).GetSwarm() != (n != c) {
			t.Fatal("the Welcome says something else about the swarm")
		}
	}
	h.share(run.ID, a.id, model)
	a.peersAre(run.ID)
	if offer := a.next().GetOffer(); offer == nil || offer.GetShared() != nil {
		t.Fatalf("the first node was offered %v", offer)
	}
	h.share(run.ID, b.id, model)
	b.peersAre(run.ID, a)
	if offer := b.next().GetOffer(); string(offer.GetShared()) != string(swarm.Pack([]string{model})) {
		t.Fatalf("the second node was offered %v", offer)
	}
	a.peersAre(run.ID, b)
	if shared := a.next().GetShared(); shared.GetRunId() != run.ID || string(shared.GetIds()) != string(swarm.Pack([]string{model})) {
		t.Fatalf("the first node was told that %v are shared", shared)
	}
	h.share(run.ID, c.id, model)
	if offer := c.next().GetOffer(); offer == nil || offer.GetShared() != nil {
		t.Fatalf("a node that declined was offered %v", offer)
	}
	c.quiet()
	a.quiet()

	// A revoked node is no longer named, and a run that has ended has no swarm.
	h.server.Revoke(b.host.ID())
	b.expectEnd()
	a.peersAre(run.ID)
	must(t, h.server.CancelRun(t.Context(), run.ID, "over"))
	if cancel := a.next().GetCancel(); cancel.GetRunId() != run.ID {
		t.Fatalf("got %v", cancel)
	}
	a.quiet()
}

func TestWithoutSwarmNobodyIsNamed(t *testing.T) {
	h := newHub(t, nil)
	run := h.run()
	model := h.put("a model")
	var all []*scripted
	for range 2 {
		n := newNode(t, h)
		if n.welcomed(&sessionpb.Hello{}).GetSwarm() {
			t.Fatal("there is a swarm")
		}
		h.share(run.ID, n.id, model)
		if offer := n.next().GetOffer(); offer == nil || offer.GetShared() != nil {
			t.Fatalf("a node was offered %v", offer)
		}
		all = append(all, n)
	}
	for _, n := range all {
		n.quiet()
		if _, err := n.host.NewStream(t.Context(), h.host.ID(), swarm.ProtocolID); err == nil {
			t.Error("the link spoke of a swarm")
		}
	}
}

func TestAddressesOfANodeAreTakenWithCare(t *testing.T) {
	h := newHub(t, swarming)
	run := h.run()
	a, b := newNode(t, h), newNode(t, h)
	hello := &sessionpb.Hello{Addrs: [][]byte{{0xff, 0xff}, nil}}
	for range 100 {
		hello.Addrs = append(hello.Addrs, a.host.Addrs()[0].Bytes())
	}
	a.welcomed(hello)
	b.welcomed(&sessionpb.Hello{})
	h.share(run.ID, a.id, h.put("a model"))
	a.peersAre(run.ID)
	h.share(run.ID, b.id, h.put("a model"))
	frame := b.next().GetPeers()
	if len(frame.GetPeers()) != 1 || len(frame.GetPeers()[0].GetAddrs()) > 8 {
		t.Errorf("told %v", frame)
	}
	if id, err := peer.IDFromBytes(frame.GetPeers()[0].GetPeerId()); err != nil || id != a.host.ID() {
		t.Errorf("told of %v, %v", id, err)
	}
}
