package streams

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
)

// newHost makes a peer on loopback whose services may have that many streams of each peer.
func newHost(t *testing.T, perPeer int) host.Host {
	t.Helper()
	limits := rcmgr.PartialLimitConfig{ServicePeerDefault: rcmgr.ResourceLimits{StreamsInbound: rcmgr.LimitVal(perPeer)}}
	manager, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.Build(rcmgr.InfiniteLimits)), rcmgr.WithMetricsDisabled())
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(manager))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// TestLibp2p: on real hosts the resource manager's limits for a service hold, streams count
// towards their service, and the codes of resets arrive.
func TestLibp2p(t *testing.T) {
	const perPeer = 3
	near, far := newHost(t, 100), newHost(t, perPeer)
	s := Serve(far, testProtocol, wide, func(_ context.Context, s *Stream) error {
		if _, err := s.Write([]byte("x")); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, s)
		return err
	})
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := near.Connect(ctx, peer.AddrInfo{ID: far.ID(), Addrs: far.Addrs()}); err != nil {
		t.Fatal(err)
	}
	open := func() (network.Stream, error) {
		stream, err := near.NewStream(ctx, far.ID(), testProtocol)
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = stream.Read(make([]byte, 1))
		return stream, err
	}
	var opened []network.Stream
	for range perPeer {
		stream, err := open()
		if err != nil {
			t.Fatal(err)
		}
		opened = append(opened, stream)
	}
	var counted int
	err := far.Network().ResourceManager().ViewService(testProtocol, func(scope network.ServiceScope) error {
		counted = scope.Stat().NumStreamsInbound
		return nil
	})
	if err != nil || counted != perPeer {
		t.Errorf("%d streams count for the service (%v), want %d", counted, err, perPeer)
	}
	var reset *network.StreamError
	if _, err := open(); !errors.As(err, &reset) || reset.ErrorCode != network.StreamResourceLimitExceeded {
		t.Errorf("one stream more than the service may have: %v", err)
	}
	s.Close()
	if _, err := opened[0].Read(make([]byte, 1)); !errors.As(err, &reset) || reset.ErrorCode != network.StreamShutdown {
		t.Errorf("after the server was closed: %v", err)
	}
}
