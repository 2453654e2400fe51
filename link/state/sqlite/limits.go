package sqlite

import "time"

const (
	// forgetBatch is how many runs one transaction removes; their logs may be megabytes, and other
	// writers wait.
	forgetBatch = 16
	// forgetRetry is how long it takes until runs are looked at again whose objects were not released
	// yet. Releasing them takes seconds unless the disk is full.
	forgetRetry = time.Minute

	// releaseBatch bounds how many objects are removed while writers wait: files that are unlinked one
	// by one, which takes milliseconds altogether.
	releaseBatch = 64
)
