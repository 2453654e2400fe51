package python

import "time"

const (
	// askLimit bounds how long an interpreter may take to name its scripts folder: a cold start
	// from a slow disk takes seconds; anything longer means that it hangs.
	askLimit = 30 * time.Second
)
