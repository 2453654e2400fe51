package daemon

import "time"

const (
	// idleTimeout of HTTP connections: Flower's clients keep theirs for 5 s after a request,
	// so the server must never be the one that closes first.
	idleTimeout = 2 * time.Minute
	// headerTimeout ends connections that send no request.
	headerTimeout = 10 * time.Second
	// maxHeader of a request, in bytes: tokens and signatures are below 2 KiB.
	maxHeader = 64 << 10
	// stopTimeout is how long requests may take to end when their server stops; the end of
	// their context has told them.
	stopTimeout = 3 * time.Second
)
