package streams

import "time"

// busyTime is what a peer has to take the word that there is no place for it. The word fits
// any window, so that only a dead line needs longer.
const busyTime = 5 * time.Second
