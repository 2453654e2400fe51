package join

import "time"

const (
	// timeout of the whole exchange, on both sides.
	timeout = 15 * time.Second
	// maxMessage holds a name, a token, and a reason that fills a screen.
	maxMessage = 4 << 10
	// maxDeciding that the handler decides at a time; the others wait for their turn.
	maxDeciding = 32
	// maxWaiting for their turn: 1,000 nodes that join at once, most of which the lobby lets in.
	maxWaiting = 1024
	// maxPerPeer: one that asks again, over another path, while its first question is decided.
	maxPerPeer = 4
	// maxName of a node, in bytes: what a table in a terminal can show.
	maxName = 64
)
