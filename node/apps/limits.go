package apps

import (
	"time"

	"github.com/rhizome-fl/rhizome/protocol/session"
)

const (
	// retryExpiry is the pause after the store could not end overdue tasks (disk full).
	retryExpiry = 5 * time.Second
	// maxReply bounds the message and the tree of a reply together, so that they fit into
	// one frame of the session.
	maxReply = session.DefaultMaxFrame - 4<<10
)
