package admission

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/protocol"
)

func TestStandingAt(t *testing.T) {
	// This is what the lobby names to each kind; a member is named everything, including joining.
	for want, named := range map[Standing][]protocol.ID{
		Refused: {refusedProtocol, "/ipfs/id/1.0.0"},
		Joining: {JoinProtocol, ObserveProtocol, "/ipfs/id/1.0.0"},
		Member:  {JoinProtocol, ObserveProtocol, "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"},
	} {
		if got := StandingAt(named); got != want {
			t.Errorf("%v: %s, want %s", named, got, want)
		}
	}
	if got := StandingAt(nil); got != Refused {
		t.Errorf("nothing named: %s", got)
	}
}
