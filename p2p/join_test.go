package p2p

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/joinpb"
)

func TestJoinMakesAMember(t *testing.T) {
	gate := &members{ticket: true}
	relay := newRelay(t, loopback, nil)
	hub := newHost(t, Config{Role: Hub, Gate: gate, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	hub.HandleMembers(echoProtocol, echo)
	var mu sync.Mutex
	busy := 2
	ServeJoin(hub, func(_ context.Context, from peer.ID, req JoinRequest) (JoinAnswer, error) {
		mu.Lock()
		defer mu.Unlock()
		if busy--; busy > 0 {
			return JoinAnswer{}, errors.New("database is locked")
		}
		if string(req.Secret) != "s3cret" || req.TokenID != "t1" {
			return JoinAnswer{}, &Refusal{"the ticket was used up"}
		}
		gate.add(from)
		return JoinAnswer{Role: "node", Name: req.Name, Federation: "demo"}, nil
	})
	eventually(t, hub, "a reservation", func() bool { return len(hub.reservations.circuits()) > 0 })
	for name, target := range map[string]Target{"direct": directTo(hub), "relayed": via(hub, relay)} {
		t.Run(name, func(t *testing.T) {
			leaf := newHost(t, Config{Gate: &members{}}) // nobody is a member here
			_, err := Join(testContext(t), leaf, target, JoinRequest{TokenID: "t1", Secret: []byte("guess")})
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Reason != "the ticket was used up" || !errors.Is(err, admission.ErrRefused) {
				t.Errorf("a wrong secret: %v", err)
			}
			got, err := Join(testContext(t), leaf, target, JoinRequest{TokenID: "t1", Secret: []byte("s3cret"), Name: "clinic 7"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(JoinAnswer{Role: "node", Name: "clinic 7", Federation: "demo"}, got); diff != "" {
				t.Error(diff)
			}
			keepEcho(t, leaf, target).next(t)
		})
	}
}

func TestJoinAtSomethingElse(t *testing.T) {
	other := newHost(t, Config{})
	leaf := newHost(t, Config{})
	_, err := Join(testContext(t), leaf, directTo(other), JoinRequest{})
	if !errors.Is(err, errNoLink) {
		t.Error(err)
	}
	for _, name := range []string{strings.Repeat("x", maxName+1), "a\nb", "\xff", "\x1b[2J"} {
		if _, err := Join(testContext(t), leaf, directTo(other), JoinRequest{Name: name}); !errors.Is(err, admission.ErrRefused) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestJoinServerSurvivesNonsense(t *testing.T) {
	hub := newHost(t, Config{Role: Hub})
	asked := 0
	ServeJoin(hub, func(context.Context, peer.ID, JoinRequest) (JoinAnswer, error) {
		asked++
		return JoinAnswer{}, nil
	})
	leaf := newHost(t, Config{})
	ctx := testContext(t)
	if err := leaf.Connect(ctx, info(hub)); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"too long":     {0xff, 0xff, 0xff, 0xff, 0x0f},
		"no varint":    bytes.Repeat([]byte{0xff}, 20),
		"no protobuf":  {3, 0xff, 0xff, 0xff},
		"cut":          {100, 1, 2},
		"control name": frame(t, &joinpb.Request{Name: "a\x00b"}),
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

func FuzzJoinRequest(f *testing.F) {
	f.Add(frame(f, &joinpb.Request{TokenId: "t", Secret: []byte("s"), Name: "n"}))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var req joinpb.Request
		if err := readMessage(bytes.NewReader(raw), &req); err != nil {
			return
		}
		if proto.Size(&req) > maxJoinMessage {
			t.Error("a request beyond the limit")
		}
		answer := answerJoin(t.Context(), "somebody", &req, func(_ context.Context, _ peer.ID, r JoinRequest) (JoinAnswer, error) {
			if len(r.Name) > maxName || strings.ContainsAny(r.Name, "\x00\n\x1b") {
				t.Errorf("name %q reached the handler", r.Name)
			}
			return JoinAnswer{}, &Refusal{"no"}
		})
		if answer.GetRefused() == nil {
			t.Error("accepted")
		}
	})
}
