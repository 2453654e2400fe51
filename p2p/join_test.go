package p2p

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/joinpb"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// serveJoin lets peers join at a hub.
func serveJoin(t testing.TB, hub *Host, decide join.Handler) {
	t.Helper()
	t.Cleanup(join.Serve(hub, func(req join.Request) bool { return req.TokenID == "t1" }, decide).Close)
}

func TestJoinMakesAMember(t *testing.T) {
	gate := &members{ticket: true}
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Kind: Hub, Gate: gate, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	var mu sync.Mutex
	busy := 2
	serveJoin(t, hub, func(_ context.Context, from peer.ID, req join.Request) (join.Answer, error) {
		mu.Lock()
		defer mu.Unlock()
		if busy--; busy > 0 {
			return join.Answer{}, errors.New("database is locked")
		}
		if string(req.Secret) != "s3cret" || req.TokenID != "t1" {
			return join.Answer{}, &join.Refusal{Reason: "the ticket has been used up"}
		}
		gate.add(from)
		return join.Answer{Role: "node", Name: req.Name, Federation: "demo"}, nil
	})
	eventually(t, hub, "a reservation", func() bool { return len(circuitsOf(hub)) > 0 })
	for name, target := range map[string]reach.Target{"direct": directTo(hub), "relayed": via(hub, relay)} {
		t.Run(name, func(t *testing.T) {
			leaf := newHost(t, Config{Gate: &members{}}) // nobody is a member here
			_, err := join.Ask(testContext(t), leaf, target, join.Request{TokenID: "t1", Secret: []byte("guess")})
			var refusal *join.Refusal
			if !errors.As(err, &refusal) || refusal.Reason != "the ticket has been used up" || !errors.Is(err, admission.ErrRefused) {
				t.Errorf("a wrong secret: %v", err)
			}
			got, err := join.Ask(testContext(t), leaf, target, join.Request{TokenID: "t1", Secret: []byte("s3cret"), Name: "clinic 7"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(join.Answer{Role: "node", Name: "clinic 7", Federation: "demo"}, got); diff != "" {
				t.Error(diff)
			}
			keepEcho(t, leaf, target).next(t)
		})
	}
}

// showing is a host that tells whose tickets it was shown.
type showing struct {
	*Host
	mu    sync.Mutex
	peers map[peer.ID]bool
}

func (s *showing) ShowedTicket(c network.Conn) {
	s.Host.ShowedTicket(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[c.RemotePeer()] = true
}

func (s *showing) saw(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peers[p]
}

// The lobby hears of a ticket before the join has been decided, which may take its time, and
// only of one that is valid.
func TestTheLobbyHearsOfTickets(t *testing.T) {
	hub := &showing{Host: newHost(t, Config{Kind: Hub, Gate: &members{ticket: true}}), peers: make(map[peer.ID]bool)}
	t.Cleanup(join.Serve(hub, func(req join.Request) bool { return req.TokenID == "t1" && string(req.Secret) == "s3cret" },
		func(_ context.Context, from peer.ID, req join.Request) (join.Answer, error) {
			if good := string(req.Secret) == "s3cret"; hub.saw(from) != good {
				t.Errorf("the lobby was told that a ticket was shown: %v, and a valid one was: %v", !good, good)
			}
			return join.Answer{}, &join.Refusal{Reason: "seen enough"}
		}).Close)
	for _, secret := range []string{"s3cret", "guess", ""} {
		_, err := join.Ask(testContext(t), newHost(t, Config{}), directTo(hub.Host), join.Request{TokenID: "t1", Secret: []byte(secret)})
		if !strings.Contains(fmt.Sprint(err), "seen enough") {
			t.Errorf("secret %q: %v", secret, err)
		}
	}
}

func TestJoinAtSomethingElse(t *testing.T) {
	other := newHost(t, Config{})
	leaf := newHost(t, Config{})
	_, err := join.Ask(testContext(t), leaf, directTo(other), join.Request{})
	if !strings.Contains(fmt.Sprint(err), "it is not a SuperLink") {
		t.Error(err)
	}
	for _, name := range []string{strings.Repeat("x", 65), "a\nb", "\xff", "\x1b[2J"} {
		if _, err := join.Ask(testContext(t), leaf, directTo(other), join.Request{Name: name}); !errors.Is(err, admission.ErrRefused) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestJoinServerSurvivesNonsense(t *testing.T) {
	hub := newHost(t, Config{Kind: Hub})
	asked := 0
	serveJoin(t, hub, func(context.Context, peer.ID, join.Request) (join.Answer, error) {
		asked++
		return join.Answer{}, nil
	})
	leaf := newHost(t, Config{})
	ctx := testContext(t)
	if err := leaf.Connect(ctx, info(hub)); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"too long":       {0xff, 0xff, 0xff, 0xff, 0x0f},
		"not a varint":   bytes.Repeat([]byte{0xff}, 20),
		"not a protobuf": {3, 0xff, 0xff, 0xff},
		"cut":            {100, 1, 2},
		"control name":   frame(t, &joinpb.Request{Name: "a\x00b"}),
	} {
		s, err := leaf.NewStream(ctx, hub.ID(), admission.JoinProtocol)
		if err != nil {
			t.Fatal(err)
		}
		s.Write(raw)
		s.CloseWrite()
		var answer joinpb.Answer
		err = protodelim.UnmarshalFrom(bufio.NewReader(s), &answer)
		if err == nil && answer.GetRefused() == nil {
			t.Errorf("%s: accepted", name)
		}
		s.Reset()
	}
	if asked > 0 {
		t.Error("the handler was asked about nonsense")
	}
}

func frame(t testing.TB, m proto.Message) []byte {
	var b bytes.Buffer
	if _, err := protodelim.MarshalTo(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
