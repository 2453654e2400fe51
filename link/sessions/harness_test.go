package sessions

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// patience is how long a test waits for what must come; that something does not come is proved
// by waiting for something that would come after it.
const patience = 10 * time.Second

// hub is the link's side: a real store, real objects and a real host, but no HTTP. It can be
// killed and started again on the same data.
type hub struct {
	t       testing.TB
	dir     string
	config  func(*Config)
	host    host.Host
	store   state.Store
	objects *objects.Dir
	server  *Server
	stop    func()
}

func newHub(t testing.TB, config func(*Config)) *hub {
	h := &hub{t: t, dir: t.TempDir(), config: config, host: newHost(t)}
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableMetrics())
	must(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func (h *hub) start() {
	h.t.Helper()
	var err error
	h.store, err = sqlite.Open(h.t.Context(), filepath.Join(h.dir, "state.db"), sqlite.Options{})
	must(h.t, err)
	h.objects, err = objects.OpenDir(filepath.Join(h.dir, "objects"), objects.DirOptions{})
	must(h.t, err)
	var fetcher *objects.Fetcher
	cfg := Config{
		Host: h.host, Store: h.store, Objects: h.objects, Office: messages.New(h.store, h.objects), Federation: "@none/default",
		Fetch: func(ctx context.Context, from peer.ID, runID uint64, ids []string, shown func(string)) error {
			return fetcher.FetchOwn(ctx, runID, ids, objects.Provider{Peer: from}, shown)
		},
	}
	if h.config != nil {
		h.config(&cfg)
	}
	h.server = New(cfg)
	fetcher = objects.NewFetcher(h.host, h.objects, objects.FetchOptions{NoDial: true, Meter: h.server})
	exchange := objects.NewServer(h.host, h.objects, h.server.Authorize, objects.ServerOptions{Meter: h.server})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.server.Run(ctx) }()
	h.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error("the server ended with ", err)
		}
		exchange.Close()
		must(h.t, h.store.Close())
		h.stop = func() {}
	}
	// Until the handler is registered, a dial would be refused.
	h.await("the session protocol", func() bool {
		return slices.Contains(h.host.Mux().Protocols(), session.ProtocolID)
	})
}

// restart kills the link and starts it again on the same data.
func (h *hub) restart() {
	h.stop()
	h.start()
}

// run creates a running run with an app of its own.
func (h *hub) run() state.Run {
	h.t.Helper()
	fab := h.put("an app")
	run, err := h.store.CreateRun(h.t.Context(), state.NewRun{
		TaskType: task.TypeServerApp, FABID: "me/app", FABVersion: "1", FABHash: fab, Federation: "@none/default", AccountID: state.AccountNone,
	})
	must(h.t, err)
	return run
}

func (h *hub) put(content string) string {
	return put(h.t, h.objects, []byte(content))
}

func put(t testing.TB, store objects.Store, content []byte) string {
	t.Helper()
	id := object.Sum(content)
	must(t, store.Put(t.Context(), id, int64(len(content)), bytes.NewReader(content)))
	return id
}

// instruct stores a complete instruction, and returns its id.
func (h *hub) instruct(runID, nodeID uint64) string {
	h.t.Helper()
	return h.insert(runID, nodeID, state.Waiting)
}

// insert stores an instruction in the given state.
func (h *hub) insert(runID, nodeID uint64, in state.MessageState) string {
	h.t.Helper()
	m := newMessage(h.t, h.objects, &flwrpb.Metadata{
		RunId: runID, SrcNodeId: 1, DstNodeId: nodeID, MessageType: "train", CreatedAt: now(), Ttl: 3600, GroupId: rand.Text(),
	})
	m.NodeID, m.State = nodeID, in
	ids, err := object.PostOrder(treeOf(h.t, m), object.TreeLimits{})
	must(h.t, err)
	must(h.t, h.store.RegisterObjects(h.t.Context(), runID, ids))
	must(h.t, h.store.HoldObjects(h.t.Context(), runID, ids))
	refused, err := h.store.InsertInstructions(h.t.Context(), []state.Message{m})
	must(h.t, err)
	must(h.t, refused[0])
	return m.ID
}

func now() float64 { return float64(time.Now().UnixMicro()) / 1e6 }

// newMessage makes a message with some content, whose objects go into a store.
func newMessage(t testing.TB, store objects.Store, md *flwrpb.Metadata) state.Message {
	t.Helper()
	l := flwrtest.NewLetter(t, md, "ConfigRecord", []byte(rand.Text()))
	for _, content := range l.Objects {
		put(t, store, content)
	}
	return state.Message{
		ID: l.ID(), RunID: md.GetRunId(), ReplyTo: md.GetReplyToMessageId(), State: state.Waiting,
		Proto: encode(t, l.Message), Tree: encode(t, l.Tree), CreatedAt: md.GetCreatedAt(), TTL: md.GetTtl(),
	}
}

func treeOf(t testing.TB, m state.Message) *flwrpb.ObjectTree {
	t.Helper()
	var tree flwrpb.ObjectTree
	must(t, proto.Unmarshal(m.Tree, &tree))
	return &tree
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	must(t, err)
	return b
}

func (h *hub) await(what string, there func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(patience)
	for !there() {
		if time.Now().After(deadline) {
			h.t.Fatalf("%s did not happen within %s", what, patience)
		}
		time.Sleep(2 * time.Millisecond) // between looks at a condition that has no bell
	}
}

// awaitState waits until an instruction is in a state.
func (h *hub) awaitState(id string, want state.MessageState) {
	h.t.Helper()
	h.await(fmt.Sprintf("state %s of %s", want, id), func() bool {
		m, err := h.store.Message(h.t.Context(), id)
		return err == nil && m.State == want
	})
}

func (h *hub) answer(runID uint64, id string) state.Answer {
	h.t.Helper()
	answers, err := h.store.Answers(h.t.Context(), runID, []string{id})
	must(h.t, err)
	return answers[0]
}

// scripted is a node that does what a test tells it to.
type scripted struct {
	t       testing.TB
	hub     *hub
	host    host.Host
	objects *objects.Dir
	id      uint64 // node id, once welcomed
	conn    *session.Conn
	frames  chan *sessionpb.Frame
}

// newNode makes a member that is a node, with objects that it serves to the link.
func newNode(t testing.TB, h *hub) *scripted {
	t.Helper()
	n := &scripted{t: t, hub: h, host: newHost(t)}
	var err error
	n.objects, err = objects.OpenDir(t.TempDir(), objects.DirOptions{})
	must(t, err)
	exchange := objects.NewServer(n.host, n.objects, func(_ context.Context, p peer.ID, _ uint64, _ string) error {
		if p != h.host.ID() {
			return objects.ErrRefused
		}
		return nil
	}, objects.ServerOptions{})
	t.Cleanup(exchange.Close)
	n.host.Peerstore().AddAddrs(h.host.ID(), h.host.Addrs(), peerstore.PermanentAddrTTL)
	h.host.Peerstore().AddAddrs(n.host.ID(), n.host.Addrs(), peerstore.PermanentAddrTTL)
	must(t, h.store.AddMember(t.Context(), state.Member{PeerID: n.host.ID().String(), Role: join.RoleNode, AddedAt: time.Now(), AddedBy: "admin"}))
	return n
}

// dial opens a stream without saying anything.
func (n *scripted) dial() {
	n.t.Helper()
	stream, err := n.host.NewStream(n.t.Context(), n.hub.host.ID(), session.ProtocolID)
	must(n.t, err)
	n.conn = session.NewConn(stream, session.Limits{})
	conn, frames := n.conn, make(chan *sessionpb.Frame, 100)
	n.frames = frames
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(frames)
		for {
			frame, err := conn.ReadFrame()
			if err != nil {
				return
			}
			frames <- frame
		}
	}()
	n.t.Cleanup(func() { _ = stream.Reset(); <-done })
}

// join opens a session and expects to be welcomed.
func (n *scripted) join(hello *sessionpb.Hello) {
	n.t.Helper()
	n.dial()
	hello.Version = version
	n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: hello}})
	welcome := n.next().GetWelcome()
	if welcome.GetNodeId() == 0 {
		n.t.Fatal("no welcome")
	}
	if n.id != 0 && n.id != welcome.GetNodeId() {
		n.t.Fatalf("node id changed from %d to %d", n.id, welcome.GetNodeId())
	}
	n.id = welcome.GetNodeId()
}

func (n *scripted) send(frame *sessionpb.Frame) {
	n.t.Helper()
	must(n.t, n.conn.WriteFrame(frame))
}

// next returns the next frame, skipping those that only show life.
func (n *scripted) next() *sessionpb.Frame {
	n.t.Helper()
	for {
		select {
		case frame, open := <-n.frames:
			if !open {
				n.t.Fatal("the link ended the session")
			}
			if frame.GetPing() == nil {
				return frame
			}
		case <-time.After(patience):
			n.t.Fatalf("no frame within %s", patience)
		}
	}
}

// expectEnd reads until the link has ended the session.
func (n *scripted) expectEnd() {
	n.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-n.frames:
			if !open {
				return
			}
		case <-deadline:
			n.t.Fatalf("the session was not ended within %s", patience)
		}
	}
}

// quiet proves that nothing was sent before the answer to a ping.
func (n *scripted) quiet() {
	n.t.Helper()
	n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Ping{Ping: &sessionpb.Ping{Nonce: 42}}})
	if frame := n.next(); frame.GetPong().GetNonce() != 42 {
		n.t.Fatalf("got %T instead of nothing", frame.GetBody())
	}
}

// offered expects an Offer and returns the id of its message.
func (n *scripted) offered() string {
	n.t.Helper()
	frame := n.next()
	if frame.GetOffer() == nil {
		n.t.Fatalf("got %T instead of an Offer", frame.GetBody())
	}
	var msg flwrpb.Message
	must(n.t, proto.Unmarshal(frame.GetOffer().GetMessage(), &msg))
	return msg.GetMetadata().GetMessageId()
}

func (n *scripted) accept(id string) {
	n.t.Helper()
	n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Accept{Accept: &sessionpb.Accept{MessageId: id}}})
}

// answerTo makes a reply to an instruction that the hub knows.
func (n *scripted) answerTo(id string) *sessionpb.Reply {
	n.t.Helper()
	m, err := n.hub.store.Message(n.t.Context(), id)
	must(n.t, err)
	var instruction flwrpb.Message
	must(n.t, proto.Unmarshal(m.Proto, &instruction))
	reply := newMessage(n.t, n.objects, object.ReplyTo(instruction.GetMetadata(), time.Now()))
	return &sessionpb.Reply{Message: reply.Proto, Tree: reply.Tree, ClientappRuntimeSeconds: 1.5}
}

func (n *scripted) reply(reply *sessionpb.Reply) {
	n.t.Helper()
	n.send(&sessionpb.Frame{Body: &sessionpb.Frame_Reply{Reply: reply}})
}

// acked expects the acknowledgement of a reply.
func (n *scripted) acked(instructionID string, dropped bool) {
	n.t.Helper()
	ack := n.next().GetReplyAck()
	if ack.GetInstructionId() != instructionID || ack.GetDropped() != dropped {
		n.t.Fatalf("got %v, want the acknowledgement of %s with dropped=%t", ack, instructionID, dropped)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
