package retry

import "time"

const (
	// firstPause and mostPause bound the pauses of Do. The first leaves time for what was in
	// the way; the last lets work go on soon after a disk has room again, and keeps the log
	// readable while it has none.
	firstPause = time.Second
	mostPause  = time.Minute
)
