package retry

import "time"

const (
	// firstPause and mostPause bound the pauses of Do. The first gives whatever was in the way
	// time to pass; the last lets work resume soon after a full disk has room again, and keeps
	// the log readable while it has none.
	firstPause = time.Second
	mostPause  = time.Minute
)
