package p2p

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

// The dialled side measures too: a link shows the round trip to nodes that dial it.
func TestMeasureFromTheDialledSide(t *testing.T) {
	hub, leaf := newHost(t, Config{Kind: Hub}), newHost(t, Config{})
	stranger := peer.ID("nobody")
	if err := leaf.Connect(t.Context(), info(hub)); err != nil {
		t.Fatal(err)
	}
	eventually(t, hub, "the hub sees the connection", func() bool { return len(hub.Paths(leaf.ID())) > 0 })
	hub.Measure(t.Context(), leaf.ID(), stranger)
	first := hub.Paths(leaf.ID())[0].RTT
	if first <= 0 {
		t.Fatalf("the round trip is %v", first)
	}
	hub.Measure(t.Context(), leaf.ID())
	if again := hub.Paths(leaf.ID())[0].RTT; again != first {
		t.Errorf("it was measured again at once: %v, then %v", first, again)
	}
}
