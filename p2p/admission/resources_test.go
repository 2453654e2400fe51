package admission

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// No service may take all the streams that a peer can have, and no peer may take another's.
func TestStreamsOfAServiceAreBoundedByPeer(t *testing.T) {
	limits, err := newResourceManager(DefaultMaxPeers)
	if err != nil {
		t.Fatal(err)
	}
	defer limits.Close()
	open := func(p peer.ID, service string) error {
		s, err := limits.OpenStream(p, network.DirInbound)
		if err != nil {
			return err
		}
		t.Cleanup(s.Done)
		if err := s.SetProtocol("/test/1"); err != nil {
			return err
		}
		return s.SetService(service)
	}
	for i := range streamsPerService {
		if err := open("greedy", "objects"); err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
	}
	if err := open("greedy", "objects"); err == nil {
		t.Errorf("a peer has more than %d streams with one service", streamsPerService)
	}
	for _, p := range []struct {
		id      peer.ID
		service string
	}{{"greedy", "session"}, {"modest", "objects"}} {
		if err := open(p.id, p.service); err != nil {
			t.Errorf("%s with %s: %v", p.id, p.service, err)
		}
	}
}
