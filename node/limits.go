package node

import "time"

const (
	// DefaultSlots is that of stock Flower: one message at a time.
	DefaultSlots = 1
	// maxSlots bounds the slots, each of which is a Python process.
	maxSlots = 1024
	// maxName is the longest name, in bytes, that a link accepts for a node.
	maxName = 64

	// leaveLimit is how long saying goodbye to the link may hold up a stop.
	leaveLimit = 2 * time.Second
	// minUploadRate is the lowest rate, in bytes per second, that --swarm-upload-rate may set:
	// below it a block of 128 KiB takes so long that receivers think the node is dead.
	minUploadRate = 64 << 10
	// uploadBurst is one block of the exchange.
	uploadBurst = 128 << 10
	// maxPeerAddrs is how many addresses of another node are tried.
	maxPeerAddrs = 16

	// maxEnded is how many ended runs are remembered, so that a late announcement of their
	// start does not bring them back.
	maxEnded = 1024

	// maxHints bounds the announcements from a session that wait to be looked at; any more are
	// dropped, since the session alone settles what the node owes.
	maxHints = 16
)
