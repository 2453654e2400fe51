package tunnel

import "time"

const (
	// maxConnections bounds the local connections at a time; one flwr command uses two.
	maxConnections = 256
	// dialLimit bounds the wait for a stream; on a relayed path one takes a second.
	dialLimit = 20 * time.Second
)
