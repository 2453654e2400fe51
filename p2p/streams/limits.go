package streams

import "time"

// busyTime is how long a peer has to take the message that there is no place for it. The message
// fits any window, so only a dead line needs longer.
const busyTime = 5 * time.Second
