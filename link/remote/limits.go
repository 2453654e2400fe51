package remote

import "time"

const (
	// observeLimit is how long it may take to ask a remote link for its status, joining included.
	observeLimit = 30 * time.Second
	// maxStatus bounds the status of a remote link, in bytes; with 10,000 nodes it is about 5 MiB.
	maxStatus = 64 << 20
)
