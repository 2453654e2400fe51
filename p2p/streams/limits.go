package streams

import "time"

const (
	// busyTime is how long a peer has to take the message that there is no place for it. The message
	// fits any window, so only a dead line needs longer.
	busyTime = 5 * time.Second
	// maxUnheard is how much is read from a peer that there is no place for: the first message of
	// any of our protocols fits.
	maxUnheard = 64 << 10
)
