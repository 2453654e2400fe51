package node_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/policy"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	wire "github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// patience bounds every wait of these tests; it is reached only if something is broken.
const patience = 15 * time.Second

// fakeLink is the other end of a node: a real hub on the overlay with a real object exchange,
// and a session whose other side is scripted by the test.
type fakeLink struct {
	t        testing.TB
	host     *p2p.Host
	objects  *objects.Dir
	sessions chan *linkSession

	mu      sync.Mutex
	members map[peer.ID]bool
	asked   map[string]bool // objects that a node wanted
	held    map[string]chan struct{}
}

func newLink(t testing.TB) *fakeLink {
	t.Helper()
	identity, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	l := &fakeLink{t: t, sessions: make(chan *linkSession), members: make(map[peer.ID]bool), asked: make(map[string]bool), held: make(map[string]chan struct{})}
	if l.objects, err = objects.OpenDir(filepath.Join(t.TempDir(), "objects"), objects.DirOptions{}); err != nil {
		t.Fatal(err)
	}
	l.host, err = p2p.NewHost(p2p.Config{
		Identity: identity, Kind: p2p.Hub, Gate: admission.GateFunc(l.standing),
		Overlay: p2p.Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	joins := join.Serve(l.host, func(req join.Request) bool { return req.TokenID == "token" }, func(_ context.Context, from peer.ID, req join.Request) (join.Answer, error) {
		if req.TokenID != "token" || string(req.Secret) != "secret" {
			return join.Answer{}, &join.Refusal{Reason: "the ticket is no longer valid"}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.members[from] = true
		return join.Answer{Role: join.RoleNode, Federation: "fed"}, nil
	})
	l.host.HandleMembers(wire.ProtocolID, func(s network.Stream) {
		opened := &linkSession{t: t, s: s, conn: wire.NewConn(s, wire.Limits{})}
		_ = s.SetDeadline(time.Now().Add(patience))
		frame, err := opened.conn.ReadFrame()
		if err != nil {
			return
		}
		opened.hello = frame.GetHello()
		l.sessions <- opened
	})
	server := objects.NewServer(l.host, l.objects, func(ctx context.Context, _ peer.ID, _ uint64, id string) error {
		l.mu.Lock()
		l.asked[id] = true
		held := l.held[id]
		l.mu.Unlock()
		if held == nil {
			return nil
		}
		select {
		case <-held:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}, objects.ServerOptions{})
	t.Cleanup(func() {
		joins.Close()
		server.Close()
		if err := l.host.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *fakeLink) standing(p peer.ID) admission.Standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.members[p] {
		return admission.Member
	}
	return admission.Joining
}

func (l *fakeLink) wasAsked(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[id]
}

// withhold keeps an object back until it is released.
func (l *fakeLink) withhold(id string) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := make(chan struct{})
	l.held[id] = held
	return sync.OnceFunc(func() { close(held) })
}

// ticket signs a ticket, changed by the test.
func (l *fakeLink) ticket(change func(*ticket.Ticket)) string {
	l.t.Helper()
	made := ticket.Ticket{
		Link: l.host.ID(), Addrs: l.host.Addresses(), Federation: "fed", TokenID: "token", Secret: []byte("secret"), Role: join.RoleNode,
	}
	if change != nil {
		change(&made)
	}
	line, err := made.Sign(l.host.Identity().Key)
	if err != nil {
		l.t.Fatal(err)
	}
	return line
}

// serve makes the objects of a run available.
func (l *fakeLink) serve(r *nodetest.Run) {
	l.t.Helper()
	for id, content := range r.Objects {
		if err := l.objects.Put(context.Background(), id, int64(len(content)), bytes.NewReader(content)); err != nil {
			l.t.Fatal(err)
		}
	}
}

// session waits for the node and welcomes it.
func (l *fakeLink) session() *linkSession {
	l.t.Helper()
	session := l.hello()
	session.write(&sessionpb.Frame{Body: &sessionpb.Frame_Welcome{Welcome: &sessionpb.Welcome{
		NodeId: nodetest.NodeID, Federation: "fed", HeartbeatMillis: 5000, GraceMillis: 30_000,
	}}})
	return session
}

func (l *fakeLink) hello() *linkSession {
	l.t.Helper()
	select {
	case opened := <-l.sessions:
		return opened
	case <-time.After(patience):
		l.t.Fatal("the node does not connect")
		return nil
	}
}

// fetch pulls the objects of a reply from the node.
func (l *fakeLink) fetch(from peer.ID, runID uint64, ids ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return objects.Fetch(ctx, l.host, from, runID, ids, l.objects, objects.FetchOptions{NoDial: true})
}

type linkSession struct {
	t     testing.TB
	s     network.Stream
	conn  *wire.Conn
	hello *sessionpb.Hello
}

func (ls *linkSession) write(frame *sessionpb.Frame) {
	ls.t.Helper()
	if err := ls.conn.WriteFrame(frame); err != nil {
		ls.t.Fatalf("link: %v", err)
	}
}

// next returns the next frame that is not about heartbeats.
func (ls *linkSession) next() *sessionpb.Frame {
	ls.t.Helper()
	for {
		frame, err := ls.conn.ReadFrame()
		if err != nil {
			ls.t.Fatalf("link: %v", err)
		}
		switch body := frame.GetBody().(type) {
		case *sessionpb.Frame_Ping:
			ls.write(&sessionpb.Frame{Body: &sessionpb.Frame_Pong{Pong: &sessionpb.Pong{Nonce: body.Ping.GetNonce()}}})
		case *sessionpb.Frame_Pong:
		default:
			return frame
		}
	}
}

func (ls *linkSession) offer(m nodetest.Message) {
	ls.t.Helper()
	ls.write(&sessionpb.Frame{Body: &sessionpb.Frame_Offer{Offer: m.Offer}})
	if a := ls.next().GetAccept(); a.GetMessageId() != m.ID {
		ls.t.Fatalf("accept = %v", a)
	}
}

// verdict is what the node says of an offered message; other frames are passed over.
func (ls *linkSession) verdict(m nodetest.Message) (accepted bool, declined *sessionpb.Decline) {
	ls.t.Helper()
	for {
		frame := ls.next()
		if frame.GetAccept().GetMessageId() == m.ID {
			return true, nil
		}
		if d := frame.GetDecline(); d.GetMessageId() == m.ID {
			return false, d
		}
	}
}

// wantRefusal reads the reply to a message, which says that its app may not run.
func (ls *linkSession) wantRefusal(m nodetest.Message) {
	ls.t.Helper()
	reply := ls.next().GetReply()
	var msg flwrpb.Message
	if err := proto.Unmarshal(reply.GetMessage(), &msg); err != nil || msg.GetMetadata().GetReplyToMessageId() != m.ID ||
		msg.GetError().GetCode() != flwr.ErrorInvalidFAB || msg.GetError().GetReason() != policy.Reason {
		ls.t.Fatalf("reply = %v, %v; want a refusal of %s", &msg, err, m.ID)
	}
}

func (ls *linkSession) ack(instruction, reply string) {
	ls.t.Helper()
	ls.write(&sessionpb.Frame{Body: &sessionpb.Frame_ReplyAck{ReplyAck: &sessionpb.ReplyAck{InstructionId: instruction, ReplyId: reply}}})
}

var errTimeout = errors.New("it takes too long")
