package p2p

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

// ObserveProtocol is what a peer that may join can use besides joining: it tells the peer's
// own address and the time. Package p2p/doctor serves and uses it.
const ObserveProtocol protocol.ID = "/rhizome/observe/1"

// StandingAt tells how another host of ours sees this one, from the protocols that it named in
// identify: what a peer may not use is not named to it.
func StandingAt(protocols []protocol.ID) Standing {
	switch {
	case slices.Contains(protocols, refusedProtocol):
		return Refused
	case slices.Contains(protocols, ping.ID):
		return Member
	case slices.Contains(protocols, JoinProtocol):
		return Joining
	}
	return Refused
}
