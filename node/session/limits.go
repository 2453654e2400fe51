package session

import "time"

const (
	// version is the version of the protocol that this node speaks.
	version = 1
	// greetingLimit bounds the wait for a Welcome. A link that reconciles thousands of
	// messages takes a second; a path that died just when the session moved to it says
	// nothing, and the session has to be back within 15 s.
	greetingLimit = 10 * time.Second
	// defaultHeartbeat, minHeartbeat and maxHeartbeat keep what a Welcome says sane: any shorter,
	// and heartbeats would crowd out work; any longer, and NAT mappings are forgotten.
	defaultHeartbeat = 10 * time.Second
	minHeartbeat     = 100 * time.Millisecond
	maxHeartbeat     = 5 * time.Minute
	// missedBeats is how many heartbeats may pass without a byte from the link.
	missedBeats = 3
	// maxControl bounds the answers to pings that wait to be written. Beyond it the link is not
	// reading, and its silence will show.
	maxControl = 16
	// maxLogFrames bounds the app output that waits to be written; maxLogLines and maxLogLine
	// bound one frame of it. What comes faster than the line can carry is dropped, with a note:
	// app output must not hold up answers.
	maxLogFrames = 64
	maxLogLines  = 200
	maxLogLine   = 8 << 10
)
