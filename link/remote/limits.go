package remote

import "time"

const (
	// observeLimit is how long a look at a far link may take, joining included.
	observeLimit = 30 * time.Second
	// maxStatus bounds the status of a far link, in bytes; one of 10,000 nodes is about 5 MiB.
	maxStatus = 64 << 20
)
