package p2p

import (
	"testing"

	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
)

// A relay must not take in what a slow line carries in half a minute.
func TestRelayTakesLittleInAdvance(t *testing.T) {
	for role, want := range map[Role]uint32{Leaf: yamuxInitialWindow, Hub: yamuxInitialWindow, RelayHost: yamuxRelayWindow} {
		if got := newMuxer(role).(*yamux.Transport).InitialStreamWindowSize; got != want {
			t.Errorf("role %v: a window of %d, want %d", role, got, want)
		}
	}
}
