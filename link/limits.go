package link

import (
	"time"

	"github.com/rhizome-fl/rhizome/p2p/admission"
)

const (
	// minControlToken is how many bytes a control token has at least: 16 hexadecimal digits of
	// chance are beyond guessing over a network.
	minControlToken = 16
	// DefaultMaxNodes is how many nodes have a session at a time; each takes about 150 kB of
	// memory and an open file.
	DefaultMaxNodes = admission.DefaultMaxPeers
	// maxNodes that a link can be told to have room for; 10,000 were tried.
	maxNodes = 100_000
	// addressTimeout is how long a ticket waits for the first reservation at a relay of a
	// link that has just started.
	addressTimeout = 10 * time.Second
	// vouchAgain is the pause after a relay has refused to hear who the members are; that
	// changes when its operator does something, and costs one stream to find out.
	vouchAgain = time.Minute

	// minHeartbeat and maxHeartbeat bound what an operator may choose: a beat more often is load
	// without use, and a node that is lost must be noticed before its users do.
	minHeartbeat = time.Second
	maxHeartbeat = 10 * time.Minute
)
