package admission

import (
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Standing is what a peer may do on this host.
type Standing int

const (
	// Refused peers are cut off as soon as they have proven who they are; through a relay, once
	// they have had a chance to ask why.
	Refused Standing = iota
	// Joining peers may use the join protocol, for as long as one join takes.
	Joining
	// Member peers may open streams of any protocol.
	Member
)

func (s Standing) String() string { return [...]string{"refused", "joining", "member"}[s] }

// Gate decides the standing of a peer. It is asked for each connection and each stream that a peer
// opens, from many goroutines, and must answer from memory. Whoever lowers a peer's standing must
// close its connections afterwards.
//
// Peers that a host keeps a path to are members, and relays of a host may do what relays must,
// whatever the gate says.
type Gate interface {
	Admit(peer.ID) Standing
}

// GateFunc makes a function a Gate.
type GateFunc func(peer.ID) Standing

// Admit calls the function.
func (f GateFunc) Admit(p peer.ID) Standing { return f(p) }

// ErrRefused is the error of a peer that does not let this one in: it is not a member, or no
// longer one.
var ErrRefused = errors.New("refused: not a member of this federation")
