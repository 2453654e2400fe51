package node

import "time"

const (
	// DefaultSlots is stock Flower's: one message after the other.
	DefaultSlots = 1
	// maxSlots: each is a Python process.
	maxSlots = 1024
	// maxName is what a link takes as a node's name, in bytes.
	maxName = 64

	// HTTP on loopback: stock clients keep idle connections for 5 s, so the server must
	// never be the first to close; headers come at once; stopTimeout is for requests that
	// were told by their context that the server stops.
	idleTimeout   = 2 * time.Minute
	headerTimeout = 10 * time.Second
	maxHeader     = 64 << 10
	stopTimeout   = 3 * time.Second

	// leaveLimit is how long saying goodbye to the link may hold up a stop.
	leaveLimit = 2 * time.Second
	// maxEnded is how many ended runs are remembered, so that a late announcement of their
	// start does not bring them back.
	maxEnded = 1024
)
