package p2p

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

func TestHTTPOverStreams(t *testing.T) {
	gate := &members{ticket: true}
	relay := newRelay(t, loopback, &relayv2.RelayLimit{Duration: time.Minute, Data: 8 << 20})
	hub := newHost(t, Config{Kind: Hub, Gate: gate, Overlay: Overlay{Relays: []peer.AddrInfo{relayInfo(relay)}}})
	eventually(t, hub, "a reservation", func() bool { return len(circuitsOf(hub)) > 0 })
	serveJoin(t, hub, func(context.Context, peer.ID, join.Request) (join.Answer, error) {
		return join.Answer{}, &join.Refusal{Reason: "no"}
	})
	l := hub.ListenMembers("/rhizome/control/1")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := peer.Decode(r.RemoteAddr); err != nil {
			t.Errorf("remote address %q: %v", r.RemoteAddr, err)
		}
		io.Copy(w, r.Body)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	sent := make([]byte, 1<<20)
	rand.Read(sent)
	for name, target := range map[string]reach.Target{"direct": directTo(hub), "over a limited relay": via(hub, relay)} {
		t.Run(name, func(t *testing.T) {
			leaf := newHost(t, Config{})
			leaf.Peerstore().AddAddrs(target.Peer, target.Addrs, time.Hour)
			transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return leaf.DialStream(ctx, hub.ID(), "/rhizome/control/1")
			}}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
			if _, err := client.Post("http://link/", "", bytes.NewReader(sent)); !errors.Is(err, admission.ErrRefused) {
				t.Errorf("as a stranger: %v", err)
			}
			gate.add(leaf.ID())
			leaf.Network().ClosePeer(hub.ID())
			resp, err := client.Post("http://link/", "", bytes.NewReader(sent))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes back, %v", len(got), err)
			}
		})
	}
	server.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed listener: %v", err)
	}
}

func TestListenerIsBounded(t *testing.T) {
	hub, leaf := newHost(t, Config{Kind: Hub}), newHost(t, Config{})
	l := hub.ListenMembers("/test/slow") // nobody accepts
	ctx := testContext(t)
	if err := leaf.Connect(ctx, info(hub)); err != nil {
		t.Fatal(err)
	}
	for range memberStreams + 20 {
		c, err := leaf.DialStream(ctx, hub.ID(), "/test/slow")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// The first bytes carry the negotiation; an answer comes only with a reset.
		c.Write([]byte("x"))
	}
	eventually(t, hub, "the others are reset", func() bool {
		open := 0
		for _, c := range hub.Network().ConnsToPeer(leaf.ID()) {
			for _, s := range c.GetStreams() {
				if s.Protocol() == "/test/slow" {
					open++
				}
			}
		}
		return open == memberStreams
	})
	l.Close()
}
