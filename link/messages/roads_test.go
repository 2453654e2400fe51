package messages_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/messages"
	"github.com/rhizome-fl/rhizome/link/sessions"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/link/state/sqlite"
	"github.com/rhizome-fl/rhizome/link/stock"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/message"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// hub is a link with both roads: a real store and real objects.
type hub struct {
	t       testing.TB
	store   state.Store
	objects *objects.Dir
	office  *messages.Office
}

func newHub(t testing.TB) *hub {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "state.db"), sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	disk, err := objects.OpenDir(filepath.Join(dir, "objects"), objects.DirOptions{})
	must(t, err)
	return &hub{t: t, store: store, objects: disk, office: messages.New(store, disk)}
}

// run is a run whose ServerApp is at work; the test plays its part.
func (h *hub) run() state.Run {
	h.t.Helper()
	ctx := context.Background()
	run, err := h.store.CreateRun(ctx, state.NewRun{
		TaskType: task.TypeServerApp, FABID: "me/app", FABVersion: "1", FABHash: object.Sum([]byte("an app")),
		Federation: state.FederationDefault, AccountID: state.AccountNone,
	})
	must(h.t, err)
	claimed, _, _, err := h.store.ClaimTask(ctx, []string{task.TypeServerApp})
	must(h.t, err)
	must(h.t, h.store.ActivateTask(ctx, claimed.ID))
	return run
}

// stranger is a node that takes part in nothing.
func (h *hub) stranger() uint64 {
	h.t.Helper()
	node, err := h.store.RegisterNode(context.Background(), state.Node{PublicKey: []byte(rand.Text()), OwnerID: state.AccountNone})
	must(h.t, err)
	return node.ID
}

// instruct gives a node an instruction, which the node has taken.
func (h *hub) instruct(runID, nodeID uint64) *letter {
	h.t.Helper()
	ctx := context.Background()
	l := newLetter(h.t, &flwrpb.Metadata{
		RunId: runID, SrcNodeId: flwr.NodeSuperLink, DstNodeId: nodeID, MessageType: "train", GroupId: "1",
		CreatedAt: float64(time.Now().UnixMicro()) / 1e6, Ttl: 3600,
	})
	m, err := message.ParseInstruction(l.raw(h.t), l.wire(h.t), message.Addressed{RunID: runID, Node: nodeID, Now: time.Now()})
	must(h.t, err)
	rejected, missing, err := h.office.TakeIn(ctx, runID, []*message.Message{m})
	must(h.t, err)
	must(h.t, rejected[0])
	for _, id := range missing {
		_, err := h.office.StoreObject(ctx, runID, id, int64(len(l.Objects[id])), bytes.NewReader(l.Objects[id]))
		must(h.t, err)
	}
	must(h.t, h.office.Deliver(ctx, nodeID, []string{m.ID()}))
	return l
}

// judged sends a reply and finds out what has become of it.
func (h *hub) judged(t testing.TB, r road, asked, reply *letter) verdict {
	t.Helper()
	heard := r.send(reply)
	kind := h.answer(t, asked).Kind
	switch {
	case heard && kind == state.Replied:
		return taken
	case !heard && kind == state.InstructionUnknown:
		return refused
	case !heard && kind == state.NoAnswerYet:
		return unwanted
	}
	t.Fatalf("its node was told taken=%t; its ServerApp was told %d", heard, kind)
	return ""
}

func (h *hub) answer(t testing.TB, asked *letter) state.Answer {
	t.Helper()
	answers, err := h.office.Answers(t.Context(), asked.md().GetRunId(), []string{asked.md().GetMessageId()})
	must(t, err)
	return answers[0]
}

// isReply checks that the ServerApp gets a reply just as its node wrote it.
func (h *hub) isReply(t testing.TB, asked, reply *letter) {
	t.Helper()
	got := h.answer(t, asked).Reply
	if !bytes.Equal(got.Proto, reply.raw(t)) || !bytes.Equal(got.Tree, reply.wire(t)) {
		t.Errorf("the ServerApp did not get the bytes that the node wrote")
	}
	for id := range reply.Objects {
		if !h.objects.Has(id) {
			t.Errorf("object %s of a reply that was taken is not there", id)
		}
	}
}

// sessionRoad speaks the session protocol over in-memory streams.
type sessionRoad struct {
	t      testing.TB
	hub    *hub
	id     uint64
	host   host.Host
	link   peer.ID
	frames chan *sessionpb.Frame
	conn   *session.Conn

	mu      sync.Mutex
	objects map[string][]byte // that the node has
}

func newSessionRoad(t testing.TB, h *hub) *sessionRoad {
	t.Helper()
	net := mocknet.New()
	link, node := newHost(t, net, "/ip4/10.0.0.1/tcp/1"), newHost(t, net, "/ip4/10.0.0.2/tcp/1")
	must(t, net.LinkAll())
	must(t, net.ConnectAllButSelf())
	s := &sessionRoad{t: t, hub: h, host: node, link: link.ID(), objects: make(map[string][]byte)}
	server := sessions.New(sessions.Config{
		Host: link, Store: h.store, Objects: h.objects, Office: h.office, Federation: state.FederationDefault, Fetch: s.fetch,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
		_ = net.Close()
	})
	deadline := time.Now().Add(patience)
	for !slices.Contains(link.Mux().Protocols(), session.ProtocolID) {
		if time.Now().After(deadline) {
			t.Fatal("the link does not serve sessions")
		}
		time.Sleep(time.Millisecond) // this has no bell
	}
	must(t, h.store.AddMember(t.Context(), state.Member{PeerID: s.host.ID().String(), Role: join.RoleNode, AddedAt: time.Now(), AddedBy: "test"}))
	s.join()
	return s
}

func newHost(t testing.TB, net mocknet.Mocknet, addr string) host.Host {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	must(t, err)
	h, err := net.AddPeer(key, ma.StringCast(addr))
	must(t, err)
	return h
}

func (s *sessionRoad) node() uint64 { return s.id }

// join opens a session in place of the one that was there.
func (s *sessionRoad) join() {
	s.t.Helper()
	stream, err := s.host.NewStream(context.Background(), s.link, session.ProtocolID)
	must(s.t, err)
	conn, frames := session.NewConn(stream, session.Limits{}), make(chan *sessionpb.Frame, 100)
	s.conn, s.frames = conn, frames
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
	s.t.Cleanup(func() { _ = stream.Reset(); <-done })
	must(s.t, conn.WriteFrame(&sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: &sessionpb.Hello{Version: 1, Name: "node"}}}))
	for frame := range frames {
		if welcome := frame.GetWelcome(); welcome != nil {
			s.id = welcome.GetNodeId()
			return
		}
	}
	s.t.Fatal("the node was not welcomed")
}

// fetch gives the link the objects that the node has.
func (s *sessionRoad) fetch(ctx context.Context, _ peer.ID, _ uint64, ids []string, shown func(string)) error {
	for _, id := range ids {
		s.mu.Lock()
		content, has := s.objects[id]
		s.mu.Unlock()
		if !has {
			return objects.ErrNotFound
		}
		if err := s.hub.objects.Put(ctx, id, int64(len(content)), bytes.NewReader(content)); err != nil {
			return err
		}
		shown(id)
	}
	return nil
}

// send sends a reply and waits for its acknowledgement. A link that ends the session has not
// taken the reply.
func (s *sessionRoad) send(reply *letter) (taken bool) {
	s.t.Helper()
	s.mu.Lock()
	maps.Copy(s.objects, reply.Objects)
	s.mu.Unlock()
	must(s.t, s.conn.WriteFrame(&sessionpb.Frame{Body: &sessionpb.Frame_Reply{Reply: &sessionpb.Reply{
		Message: reply.raw(s.t), Tree: reply.wire(s.t), ClientappRuntimeSeconds: reply.runtime,
	}}}))
	limit := time.After(patience)
	for {
		select {
		case frame, open := <-s.frames:
			if !open {
				s.join()
				return false
			}
			if ack := frame.GetReplyAck(); ack != nil {
				return !ack.GetDropped()
			}
		case <-limit:
			s.t.Fatalf("the reply was not acknowledged within %s", patience)
		}
	}
}

// fleetRoad speaks the Fleet API over HTTP.
type fleetRoad struct {
	t   testing.TB
	url string
	id  uint64
	key *ecdsa.PrivateKey
	pem []byte
}

func newFleetRoad(t testing.TB, h *hub) *fleetRoad {
	t.Helper()
	server := httptest.NewServer(stock.New(stock.Config{Store: h.store, Objects: h.objects, Office: h.office}))
	t.Cleanup(server.Close)
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	f := &fleetRoad{t: t, url: server.URL, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
	registered := &flwrpb.RegisterNodeFleetResponse{}
	f.call(flwr.PathFleetRegisterNode, &flwrpb.RegisterNodeFleetRequest{PublicKey: f.pem}, registered)
	f.id = registered.GetNodeId()
	f.call(flwr.PathFleetActivateNode, &flwrpb.ActivateNodeRequest{PublicKey: f.pem, HeartbeatInterval: 30}, &flwrpb.ActivateNodeResponse{})
	return f
}

func (f *fleetRoad) node() uint64 { return f.id }

// send pushes a reply and the objects that the link asks for. A reply of which the link asks for
// nothing was not taken: every reply of these tests brings objects.
func (f *fleetRoad) send(reply *letter) (taken bool) {
	f.t.Helper()
	pushed := &flwrpb.PushMessagesResponse{}
	f.call(flwr.PathFleetPushMessages, &flwrpb.RawPushMessagesRequest{
		Node: &flwrpb.Node{NodeId: f.id}, Messages: [][]byte{reply.raw(f.t)}, Trees: [][]byte{reply.wire(f.t)},
		ClientappRuntimes: []float64{reply.runtime},
	}, pushed)
	for _, id := range pushed.GetObjectsToPush() {
		stored := &flwrpb.PushObjectResponse{}
		f.call(flwr.PathFleetPushObject, &flwrpb.PushObjectRequest{
			Node: &flwrpb.Node{NodeId: f.id}, RunId: reply.md().GetRunId(), ObjectId: id, ObjectContent: reply.Objects[id],
			SessionId: pushed.GetSessionId(),
		}, stored)
		if !stored.GetStored() {
			f.t.Fatalf("object %s was not stored", id)
		}
	}
	return len(pushed.GetObjectsToPush()) > 0
}

func (f *fleetRoad) call(path string, req, res proto.Message) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, f.url+path, bytes.NewReader(encode(f.t, req)))
	must(f.t, err)
	timestamp := time.Now().UTC().Format("2006-01-02T15:04:05.000000-07:00")
	digest := sha256.Sum256([]byte(timestamp))
	signature, err := ecdsa.SignASN1(rand.Reader, f.key, digest[:])
	must(f.t, err)
	r.Header.Set("Content-Type", flwr.TypeProtobuf)
	r.Header.Set(flwr.HeaderPublicKey, base64.StdEncoding.EncodeToString(f.pem))
	r.Header.Set(flwr.HeaderTimestamp, timestamp)
	r.Header.Set(flwr.HeaderSignature, base64.StdEncoding.EncodeToString(signature))
	answer, err := http.DefaultClient.Do(r)
	must(f.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(f.t, err)
	if answer.StatusCode != http.StatusOK {
		f.t.Fatalf("%s: %d %s", path, answer.StatusCode, body)
	}
	must(f.t, proto.Unmarshal(body, res))
}
