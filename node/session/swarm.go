package session

import "github.com/rhizome-fl/rhizome/protocol/session/sessionpb"

// Swarm exchanges objects with other nodes. Its methods must not block.
type Swarm interface {
	// Opened is told of each session that opens, and whether the link lets nodes exchange objects.
	Opened(on bool)
	// Closed is told of its end. What the session said about nodes no longer holds.
	Closed()
	// Peers replaces the nodes with which objects of a run may be exchanged.
	Peers(runID uint64, peers []*sessionpb.Provider)
	// Shared names objects of a run that go to several nodes: ids of 32 bytes each.
	Shared(runID uint64, ids []byte)
}

// noSwarm is for a node that does not take part.
type noSwarm struct{}

func (noSwarm) Opened(bool)                         {}
func (noSwarm) Closed()                             {}
func (noSwarm) Peers(uint64, []*sessionpb.Provider) {}
func (noSwarm) Shared(uint64, []byte)               {}
