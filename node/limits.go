package node

import "time"

const (
	// DefaultSlots is stock Flower's: one message after the other.
	DefaultSlots = 1
	// maxSlots: each is a Python process.
	maxSlots = 1024
	// maxName is what a link takes as a node's name, in bytes.
	maxName = 64

	// leaveLimit is how long saying goodbye to the link may hold up a stop.
	leaveLimit = 2 * time.Second
	// minUploadRate that --swarm-upload-rate may ask for, in bytes a second: below it a
	// block of 128 KiB takes so long that receivers take the node for dead.
	minUploadRate = 64 << 10
	// uploadBurst is a block of the exchange.
	uploadBurst = 128 << 10
	// maxPeerAddrs of another node that are tried.
	maxPeerAddrs = 16

	// maxEnded is how many ended runs are remembered, so that a late announcement of their
	// start does not bring them back.
	maxEnded = 1024

	// maxHints bounds the announcements from a session that wait to be looked at; one more is
	// dropped, since the session alone settles what the node owes.
	maxHints = 16
)
