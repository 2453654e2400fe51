package join

import "time"

const (
	// timeout bounds the whole exchange, on both sides.
	timeout = 15 * time.Second
	// maxMessage holds a name, a token, and a reason that fills a screen.
	maxMessage = 4 << 10
	// maxDeciding bounds the requests that the handler decides at a time; the others wait their
	// turn.
	maxDeciding = 32
	// maxWaiting may wait their turn, or have yet to ask: as many as the 512 guests of a lobby can
	// open, so that silent streams never take the place of one that asks.
	maxWaiting = 1024
	// maxPerPeer allows a peer to ask again, over another path, while its first question is
	// decided.
	maxPerPeer = 2
	// maxName bounds the name of a node, in bytes: what a table in a terminal can show.
	maxName = 64
)
