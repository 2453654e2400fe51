package link

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/joinpb"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// secretRun is a run that holds an object and has a name that occurs nowhere else.
func (l *Link) secretRun(t *testing.T) (runID uint64, id string) {
	t.Helper()
	content := []byte("confidential weights " + rand.Text())
	id = object.Sum(content)
	must(t, l.objects.Put(t.Context(), id, int64(len(content)), bytes.NewReader(content)))
	run, err := l.store.CreateRun(t.Context(), state.NewRun{
		TaskType: task.TypeServerApp, FABID: "confidential/app", FABVersion: "1", FABHash: id, Federation: state.FederationDefault, AccountID: state.AccountNone,
	})
	must(t, err)
	return run.ID, id
}

// stranger is somebody else's libp2p host: nothing of ours restrains it. It keeps everything
// that streams bring it.
type stranger struct {
	host.Host

	mu       sync.Mutex
	received bytes.Buffer
}

func newStranger(t *testing.T) *stranger {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ResourceManager(&network.NullResourceManager{}))
	must(t, err)
	s := &stranger{Host: h}
	h.Network().SetStreamHandler(func(stream network.Stream) { // keeps whatever is said to it
		defer stream.Close()
		s.read(stream)
	})
	return s
}

func (s *stranger) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received.Write(p)
}

// read takes what comes on a stream until the stream ends, which is soon.
func (s *stranger) read(stream network.Stream) int64 {
	_ = stream.SetReadDeadline(time.Now().Add(strangerPatience))
	n, _ := io.Copy(s, io.LimitReader(stream, 1<<20))
	return n
}

// secretBytes is the length of a ticket's secret.
const secretBytes = 32

// strangerPatience is how long a stranger waits for an answer on loopback.
const strangerPatience = 2 * time.Second

// say opens a stream without asking whether the protocol is served, sends what belongs there,
// and counts what comes back.
func (s *stranger) say(ctx context.Context, to peer.ID, proto protocol.ID, write func(io.Writer) error) int64 {
	stream, err := s.NewStream(network.WithNoDial(ctx, "stranger"), to, proto)
	if err != nil {
		return 0
	}
	defer stream.Reset()
	if write(stream) != nil {
		return 0
	}
	_ = stream.CloseWrite()
	return s.read(stream)
}

// attempts are the ways in. Each returns how many bytes came back that were not a refusal to join.
func attempts(l *Link, runID uint64, secret string, expired ticket.Ticket) map[string]func(context.Context, *stranger) int64 {
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	join := func(req *joinpb.Request) func(context.Context, *stranger) int64 {
		return func(ctx context.Context, s *stranger) int64 {
			var answer joinpb.Answer
			stream, err := s.NewStream(network.WithNoDial(ctx, "stranger"), l.PeerID(), admission.JoinProtocol)
			if err != nil {
				return 0
			}
			defer stream.Reset()
			_ = stream.SetDeadline(time.Now().Add(strangerPatience))
			if _, err := protodelim.MarshalTo(stream, req); err != nil {
				return 0
			}
			content, _ := io.ReadAll(io.LimitReader(stream, 1<<20))
			_, _ = s.Write(content)
			if protodelim.UnmarshalFrom(bytes.NewReader(content), &answer) != nil || answer.GetRefused() != nil {
				return 0
			}
			return int64(len(content))
		}
	}
	return map[string]func(context.Context, *stranger) int64{
		"session": func(ctx context.Context, s *stranger) int64 {
			return s.say(ctx, l.PeerID(), session.ProtocolID, func(w io.Writer) error {
				_, err := protodelim.MarshalTo(w, &sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: &sessionpb.Hello{Version: 1}}})
				return err
			})
		},
		"object": func(ctx context.Context, s *stranger) int64 {
			store := &counting{}
			_ = objects.Fetch(ctx, s.Host, l.PeerID(), runID, []string{secret}, store, objects.FetchOptions{NoDial: true, Patience: 20 * time.Millisecond})
			return store.bytes
		},
		"control": func(ctx context.Context, s *stranger) int64 {
			return s.say(ctx, l.PeerID(), remote.ControlProtocol, text("POST /v1/control/list-runs HTTP/1.1\r\nHost: link\r\nContent-Type: application/protobuf\r\nContent-Length: 0\r\n\r\n"))
		},
		"status": func(ctx context.Context, s *stranger) int64 {
			return s.say(ctx, l.PeerID(), remote.StatusProtocol, text("GET /status HTTP/1.1\r\nHost: link\r\n\r\n"))
		},
		"gossip": func(ctx context.Context, s *stranger) int64 {
			return s.say(ctx, l.PeerID(), pubsub.GossipSubID_v11, text("\x08\x0a\x06\x08\x01\x12\x02hi"))
		},
		"relay": func(ctx context.Context, s *stranger) int64 {
			return s.say(ctx, l.PeerID(), "/libp2p/circuit/relay/0.2.0/hop", text("\x02\x08\x00"))
		},
		"swarm": func(ctx context.Context, s *stranger) int64 {
			return s.say(ctx, l.PeerID(), "/rhizome/swarm/1", text("\x00"))
		},
		"join without a ticket":    join(&joinpb.Request{Name: "friend"}),
		"join with a wrong token":  join(&joinpb.Request{TokenId: "0123456789ab", Secret: make([]byte, secretBytes)}),
		"join with a wrong secret": join(&joinpb.Request{TokenId: expired.TokenID, Secret: make([]byte, secretBytes)}),
		"join with a spent ticket": join(&joinpb.Request{TokenId: expired.TokenID, Secret: expired.Secret}),
	}
}

// counting is a sink of a fetch that only counts.
type counting struct {
	mu    sync.Mutex
	bytes int64
}

func (*counting) Has(string) bool { return false }
func (c *counting) TryPartial(_ context.Context, _ string) (objects.Partial, error) {
	return &counted{c: c}, nil
}
func (c *counting) Partial(ctx context.Context, id string) (objects.Partial, error) {
	return c.TryPartial(ctx, id)
}

type counted struct{ c *counting }

func (*counted) Offset() int64                       { return 0 }
func (*counted) Expect(context.Context, int64) error { return nil }
func (*counted) Commit(context.Context) error        { return nil }
func (*counted) Close() error                        { return nil }
func (*counted) Discard() error                      { return nil }
func (p *counted) Write(b []byte) (int, error) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	p.c.bytes += int64(len(b))
	return len(b), nil
}

// Peers that nobody has let in try everything, a thousand times, while tickets are out (so
// that they may ask to join) and while none is. They get no byte of any protocol except
// refusals to join, and nothing of the federation is in those, nor in what libp2p tells by itself.
func TestThousandStrangersGetNothing(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Federation = "confidential-federation"
	l, _ := startLink(t, cfg)
	runID, secret := l.secretRun(t)
	member := l.memberFor(t, join.RoleNode)
	spent, err := l.Tickets().Create(t.Context(), membership.TicketRequest{})
	must(t, err)
	parsed, err := ticket.ParseJoin(spent.Text)
	must(t, err)
	must(t, l.Tickets().Revoke(t.Context(), spent.ID))
	markers := []string{secret, "confidential", fmt.Sprint(runID), member.ID().String(), string(member.ID()), "a member called so"}

	ways := attempts(l, runID, secret, parsed)
	where := peer.AddrInfo{ID: l.PeerID(), Addrs: l.host.Addresses()}
	total, connected := 0, 0
	for _, joinable := range []bool{true, false} {
		if joinable {
			_, err := l.Tickets().Create(t.Context(), membership.TicketRequest{})
			must(t, err)
		} else {
			tickets, err := l.Tickets().List(t.Context())
			must(t, err)
			for _, ticket := range tickets {
				must(t, l.Tickets().Revoke(t.Context(), ticket.ID))
			}
		}
		for range 500/len(ways) + 1 {
			for name, try := range ways {
				func() {
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					defer cancel()
					s := newStranger(t)
					defer s.Close()
					if s.Connect(ctx, where) == nil {
						connected++
					}
					total++
					if n := try(ctx, s); n != 0 {
						t.Fatalf("%s (tickets are out: %v): %d bytes", name, joinable, n)
					}
					s.expectNothing(t, name, l.PeerID(), markers)
				}()
			}
		}
	}
	t.Logf("%d attempts in %d ways, %d of them with a connection: 0 bytes of federation data", total, len(ways), connected)
	if connected == 0 {
		t.Error("no attempt came as far as a connection, so nothing was tried")
	}
}

// expectNothing searches everything that the stranger has learned for traces of the federation.
func (s *stranger) expectNothing(t *testing.T, way string, link peer.ID, markers []string) {
	t.Helper()
	s.mu.Lock()
	known := s.received.String()
	s.mu.Unlock()
	protocols, _ := s.Peerstore().GetProtocols(link)
	agent, _ := s.Peerstore().Get(link, "AgentVersion")
	known += fmt.Sprint(protocols, agent)
	for _, p := range s.Peerstore().Peers() {
		if p != link && p != s.ID() {
			t.Errorf("%s: the stranger has heard of %s", way, p)
		}
	}
	for _, marker := range markers {
		if strings.Contains(known, marker) {
			t.Errorf("%s: the stranger has got %q", way, marker)
		}
	}
}
