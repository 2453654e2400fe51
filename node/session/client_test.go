package session_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/messages"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/node/session"
	"github.com/rhizome-fl/rhizome/node/state"
	wire "github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// patience bounds every wait of these tests; it is reached only if something is broken.
const patience = 20 * time.Second

// everyApp may run on these nodes.
var everyApp policy.Entities

// fixture is a node's session client and a scripted link, on two hosts.
type fixture struct {
	t          testing.TB
	link, node host.Host
	incoming   chan network.Stream

	store   *state.Store
	objects *nodetest.Memory
	blobs   nodetest.Blobs
	office  *messages.Office
	hints   chan []byte
	*session.Client
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	f := &fixture{t: t, incoming: make(chan network.Stream), objects: nodetest.NewMemory(), blobs: nodetest.Blobs{}, hints: make(chan []byte, 1)}
	f.link, f.node = newHost(t), newHost(t)
	f.link.SetStreamHandler(wire.ProtocolID, func(s network.Stream) { f.incoming <- s })
	f.node.Peerstore().AddAddrs(f.link.ID(), f.link.Addrs(), time.Hour)

	var err error
	if f.store, err = state.Open(context.Background(), filepath.Join(t.TempDir(), "node.db"), f.objects); err != nil {
		t.Fatal(err)
	}
	f.Client = session.New(session.Config{
		Identities: f.store, Software: "test", Name: "site", Slots: 2,
		Hint: func(raw []byte) { f.hints <- raw },
	})
	f.office = messages.New(messages.Config{
		Store: f.store, Objects: f.objects, Link: f.Client, Policy: everyApp,
		Fetch: func(_ context.Context, w messages.Want) error {
			nodetest.Put(t, f.objects, f.blobs, w.IDs...)
			return nil
		},
	})
	t.Cleanup(func() {
		f.office.Close()
		if err := errors.Join(f.store.Close(), f.node.Close(), f.link.Close()); err != nil {
			t.Error(err)
		}
	})
	return f
}

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// peerLink is the link's end of one session.
type peerLink struct {
	t     testing.TB
	conn  *wire.Conn
	s     network.Stream
	hello *sessionpb.Hello
	done  chan error // how Serve ended
	stop  context.CancelCauseFunc
}

// dial starts a session and reads the Hello.
func (f *fixture) dial() *peerLink {
	f.t.Helper()
	ctx, stop := context.WithCancelCause(context.Background())
	s, err := f.node.NewStream(ctx, f.link.ID(), wire.ProtocolID)
	if err != nil {
		f.t.Fatal(err)
	}
	l := &peerLink{t: f.t, done: make(chan error, 1), stop: stop}
	go func() { l.done <- f.Serve(ctx, s, f.office) }()
	l.s = <-f.incoming
	_ = l.s.SetDeadline(time.Now().Add(patience))
	l.conn = wire.NewConn(l.s, wire.Limits{})
	l.hello = l.read().GetHello()
	if l.hello == nil {
		f.t.Fatal("the first frame is not a Hello")
	}
	return l
}

// open is dial followed by a Welcome.
func (f *fixture) open() *peerLink {
	f.t.Helper()
	l := f.dial()
	l.welcome(time.Minute)
	return l
}

func (l *peerLink) welcome(heartbeat time.Duration) {
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_Welcome{Welcome: &sessionpb.Welcome{
		NodeId: nodetest.NodeID, Federation: "fed", HeartbeatMillis: uint32(heartbeat.Milliseconds()), GraceMillis: 30_000,
	}}})
}

func (l *peerLink) read() *sessionpb.Frame {
	l.t.Helper()
	frame, err := l.conn.ReadFrame()
	if err != nil {
		l.t.Fatalf("link: %v", err)
	}
	return frame
}

func (l *peerLink) write(frame *sessionpb.Frame) {
	l.t.Helper()
	if err := l.conn.WriteFrame(frame); err != nil {
		l.t.Fatalf("link: %v", err)
	}
}

func (l *peerLink) offer(m nodetest.Message) {
	l.t.Helper()
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_Offer{Offer: m.Offer}})
}

func (l *peerLink) ack(instruction, reply string) {
	l.t.Helper()
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_ReplyAck{ReplyAck: &sessionpb.ReplyAck{InstructionId: instruction, ReplyId: reply}}})
}

// sync waits until the node has handled all frames so far.
func (l *peerLink) sync() {
	l.t.Helper()
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_Ping{Ping: &sessionpb.Ping{Nonce: 99}}})
	for {
		if pong := l.read().GetPong(); pong != nil {
			if pong.GetNonce() != 99 {
				l.t.Fatalf("pong of %d", pong.GetNonce())
			}
			return
		}
	}
}

// end breaks the session, as when a connection is lost, and returns what Serve returned.
func (l *peerLink) end() error {
	l.t.Helper()
	_ = l.s.Reset()
	return l.ended()
}

func (l *peerLink) ended() error {
	l.t.Helper()
	defer l.stop(nil)
	select {
	case err := <-l.done:
		return err
	case <-time.After(patience):
		l.t.Fatal("the session does not end")
		return nil
	}
}

// finish has an app answer the next message.
func (f *fixture) finish(m nodetest.Message) nodetest.Message {
	f.t.Helper()
	t, _, ok, err := f.store.Lease(context.Background(), []string{task.TypeClientApp}, 1, everyApp.Fingerprint())
	if err != nil || !ok || t.MessageID != m.ID {
		f.t.Fatalf("claim = %+v, %v, %v", t, ok, err)
	}
	blobs := nodetest.Blobs{}
	r := m.Reply(f.t, blobs, "result")
	nodetest.Put(f.t, f.objects, blobs, r.Objects...)
	reply := state.Reply{MessageID: m.ID, ReplyID: r.ID, Message: []byte{}, Tree: []byte{}, ObjectIDs: r.Objects, Runtime: 2 * time.Second}
	if err := f.store.Activate(context.Background(), t.ID); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.store.InsertReply(context.Background(), t, reply); err != nil {
		f.t.Fatal(err)
	}
	if err := f.store.HoldObjects(context.Background(), m.ID, r.Objects...); err != nil {
		f.t.Fatal(err)
	}
	if err := f.store.Answer(context.Background(), t, task.Completed, "", nil); err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *fixture) instruction(run *nodetest.Run, n int) nodetest.Message {
	m := run.Instruction(f.t, n, "model")
	maps.Copy(f.blobs, run.Objects)
	return m
}

func TestWorkThroughASession(t *testing.T) {
	f := newFixture(t)
	run := nodetest.NewRun(t, 7)
	m := f.instruction(run, 1)
	l := f.open()
	if h := l.hello; h.GetVersion() != 1 || h.GetName() != "site" || h.GetSlots() != 2 || len(h.GetAccepted()) > 0 {
		t.Errorf("hello = %v", h)
	}
	l.offer(m)
	if a := l.read().GetAccept(); a.GetMessageId() != m.ID {
		t.Fatalf("accept = %v", a)
	}
	if missing := f.store.Missing(m.Objects); len(missing) > 0 {
		t.Fatalf("accepted without %v", missing)
	}
	r := f.finish(m)
	reply := l.read().GetReply()
	if reply == nil || reply.GetClientappRuntimeSeconds() != 2 {
		t.Fatalf("reply = %v", reply)
	}

	// Not acknowledged, it is announced and sent again.
	if err := l.end(); err == nil {
		t.Error("a lost session ended without an error")
	}
	l = f.open()
	if h := l.hello; !slices.Equal(h.GetUnsentReplies(), []string{m.ID}) || !slices.Equal(h.GetRunIds(), []uint64{7}) {
		t.Errorf("hello = %v", h)
	}
	if again := l.read().GetReply(); again == nil {
		t.Fatal("the reply was not sent again")
	}
	l.ack(m.ID, r.ID)
	l.sync()
	_ = l.end()
	l = f.open()
	if h := l.hello; len(h.GetUnsentReplies()) > 0 {
		t.Errorf("hello after the ack = %v", h)
	}
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_Ping{Ping: &sessionpb.Ping{Nonce: 1}}})
	if frame := l.read(); frame.GetPong() == nil {
		t.Errorf("an acknowledged reply was followed by %v", frame)
	}
	_ = l.end()

	if id, err := f.store.Identity(t.Context()); err != nil || id.NodeID != nodetest.NodeID || id.Federation != "fed" || !id.Joined {
		t.Errorf("identity = %+v, %v", id, err)
	}
}

func TestAcceptedOverASessionLoss(t *testing.T) {
	f := newFixture(t)
	m := f.instruction(nodetest.NewRun(t, 7), 1)
	l := f.open()
	l.offer(m)
	l.read()
	_ = l.end()
	l = f.open()
	defer func() { _ = l.end() }()
	if h := l.hello; !slices.Equal(h.GetAccepted(), []string{m.ID}) {
		t.Errorf("hello = %v", h)
	}
	l.offer(m) // a link that has lost the Accept
	if a := l.read().GetAccept(); a.GetMessageId() != m.ID {
		t.Errorf("second offer: %v", a)
	}
}

func TestDecline(t *testing.T) {
	f := newFixture(t)
	m := f.instruction(nodetest.NewRun(t, 7), 1)
	l := f.open()
	defer func() { _ = l.end() }()
	m.Offer.Run = nil
	l.offer(m)
	if d := l.read().GetDecline(); d.GetMessageId() != m.ID || !d.GetPermanent() || d.GetDetail() == "" {
		t.Errorf("decline = %v", d)
	}
}

func TestCancel(t *testing.T) {
	f := newFixture(t)
	m := f.instruction(nodetest.NewRun(t, 7), 1)
	l := f.open()
	defer func() { _ = l.end() }()
	l.offer(m)
	l.read()
	claimed, token, _, err := f.store.Lease(t.Context(), []string{task.TypeClientApp}, 1, everyApp.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	watch := f.store.Bell().Watch(state.KeyTask(claimed.ID))
	defer watch.Close()
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_Cancel{Cancel: &sessionpb.Cancel{RunId: 7, Detail: "stopped"}}})
	select {
	case <-watch.C:
	case <-time.After(patience):
		t.Fatal("the task was not ended")
	}
	if _, err := f.store.TaskByToken(t.Context(), token); !errors.Is(err, task.ErrUnknownToken) {
		t.Errorf("token after cancel: %v", err)
	}
	l.sync()
	if inv, err := f.store.Inventory(t.Context()); err != nil || len(inv.RunIDs) > 0 {
		t.Errorf("inventory = %+v, %v", inv, err)
	}
}

func TestRefused(t *testing.T) {
	for _, reason := range []sessionpb.Refused_Reason{sessionpb.Refused_REVOKED, sessionpb.Refused_BUSY} {
		f := newFixture(t)
		l := f.dial()
		l.write(&sessionpb.Frame{Body: &sessionpb.Frame_Refused{Refused: &sessionpb.Refused{Reason: reason, Detail: "because"}}})
		var refused *session.RefusedError
		err := l.ended()
		if !errors.As(err, &refused) || refused.Reason != reason || refused.Final() != (reason == sessionpb.Refused_REVOKED) {
			t.Errorf("session ended with %v", err)
		}
	}
}

func TestNoWelcomeWithoutNodeID(t *testing.T) {
	f := newFixture(t)
	l := f.dial()
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_Welcome{Welcome: &sessionpb.Welcome{}}})
	if err := l.ended(); err == nil {
		t.Error("took a welcome without a node id")
	}
}

func TestSilence(t *testing.T) {
	f := newFixture(t)
	l := f.dial()
	l.welcome(time.Millisecond) // raised to the smallest that is sane
	pings := 0
	for {
		frame, err := l.conn.ReadFrame()
		if err != nil {
			break
		}
		if frame.GetPing() != nil {
			pings++
		}
	}
	if err := l.ended(); !errors.Is(err, session.ErrSilent) {
		t.Errorf("session with a silent link ended with %v", err)
	}
	if pings == 0 {
		t.Error("no ping before the link was called silent")
	}
	if s := f.Status(); s.Open || s.LastFailure == "" {
		t.Errorf("status = %+v", s)
	}
}

func TestBye(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_Bye{Bye: &sessionpb.Bye{Detail: "maintenance"}}})
	if err := l.ended(); !errors.Is(err, session.ErrBye) {
		t.Errorf("session ended with %v", err)
	}
}

func TestLeave(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	l.sync()
	left := make(chan struct{})
	go func() { f.Leave(context.Background(), "shutting down"); close(left) }()
	if bye := l.read().GetBye(); bye.GetDetail() != "shutting down" {
		t.Errorf("bye = %v", bye)
	}
	if err := l.end(); !errors.Is(err, session.ErrLeft) {
		t.Errorf("session ended with %v", err)
	}
	<-left
}

func TestStop(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	why := errors.New("a better path")
	l.stop(why)
	if err := l.ended(); !errors.Is(err, why) {
		t.Errorf("session ended with %v", err)
	}
}

func TestLeaveWithWork(t *testing.T) {
	f := newFixture(t)
	m := f.instruction(nodetest.NewRun(t, 7), 1)
	l := f.open()
	defer func() { _ = l.end() }()
	l.offer(m)
	l.read()
	f.Leave(t.Context(), "shutting down")
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_Ping{Ping: &sessionpb.Ping{Nonce: 1}}})
	if frame := l.read(); frame.GetPong() == nil {
		t.Errorf("a node that owes an answer said %v", frame)
	}
}

func TestLogsAndHints(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	defer func() { _ = l.end() }()
	f.ShareLogs(7, []string{"one", "not UTF-8: \xff"})
	if logs := l.read().GetAppLogs(); logs.GetRunId() != 7 || len(logs.GetLines()) != 2 || logs.GetLines()[0] != "one" {
		t.Errorf("logs = %v", logs)
	}
	l.write(&sessionpb.Frame{Body: &sessionpb.Frame_RunHint{RunHint: &sessionpb.RunHint{Announcement: []byte("hint")}}})
	select {
	case raw := <-f.hints:
		if string(raw) != "hint" {
			t.Errorf("hint = %q", raw)
		}
	case <-time.After(patience):
		t.Error("no hint")
	}
}
