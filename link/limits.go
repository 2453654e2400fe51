package link

import (
	"time"

	"github.com/rhizome-fl/rhizome/p2p/admission"
)

const (
	// minControlToken is the least number of bytes in a control token: 16 random hexadecimal
	// digits cannot be guessed over a network.
	minControlToken = 16
	// DefaultMaxNodes is how many nodes may have a session at a time; each takes about 150 kB of
	// memory and an open file.
	DefaultMaxNodes = admission.DefaultMaxPeers
	// maxNodes is the most nodes that a link can be told to have room for; 10,000 were tried.
	maxNodes = 100_000
	// addressTimeout is how long a new ticket waits for the first reservation at a relay when the
	// link has just started.
	addressTimeout = 10 * time.Second
	// vouchAgain is the pause after a relay has refused to be told who the members are; that
	// changes only when its operator acts, and finding out costs one stream.
	vouchAgain = time.Minute

	// minHeartbeat and maxHeartbeat bound what an operator may choose: beating more often is load
	// without use, and a lost node must be noticed before its users notice.
	minHeartbeat = time.Second
	maxHeartbeat = 10 * time.Minute
)
