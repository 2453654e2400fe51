package python

import "time"

const (
	// askLimit bounds how long an interpreter may take to tell its scripts folder: a cold start
	// from a slow disk takes seconds, more means that it hangs.
	askLimit = 30 * time.Second
)
