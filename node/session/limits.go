package session

import "time"

const (
	// version of the protocol that this node speaks.
	version = 1
	// greetingLimit bounds the wait for a Welcome. A link that reconciles thousands of
	// messages takes a second; a path that died just when the session moved to it says
	// nothing, and the session is to be back within 15 s.
	greetingLimit = 10 * time.Second
	// defaultHeartbeat, minHeartbeat and maxHeartbeat keep what a Welcome says sane: below,
	// heartbeats would crowd out work; above, NAT mappings are forgotten.
	defaultHeartbeat = 10 * time.Second
	minHeartbeat     = 100 * time.Millisecond
	maxHeartbeat     = 5 * time.Minute
	// missedBeats is how many heartbeats may pass without a byte from the link.
	missedBeats = 3
	// maxControl bounds answers to pings that wait to be written. Beyond it the link is not
	// reading, and silence will tell.
	maxControl = 16
	// maxLogFrames bounds app output that waits to be written, maxLogLines and maxLogLine
	// one frame of it. What comes faster than the line carries is dropped, with a note: app
	// output must not hold up answers.
	maxLogFrames = 64
	maxLogLines  = 200
	maxLogLine   = 8 << 10
)
