package messages

import (
	"time"

	"github.com/rhizome-fl/rhizome/protocol/session"
)

const (
	// maxJobs bounds messages that are on their way in. What is offered beyond it is
	// declined and offered again later.
	maxJobs = 256
	// maxFetching bounds messages that are fetched at a time: each moves several objects
	// in parallel already, and the line is shared.
	maxFetching = 4
	// maxTries is how often a fetch is begun anew before the message is declined. A fetch
	// goes on where it stopped, so this counts failures, not copies.
	maxTries = 5
	// firstPause and maxPause bound the pause between tries. A link that went away is
	// found again by the session; its return offers the message again.
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second

	// maxReply bounds the message and the tree of a reply together, so that they fit into
	// one frame of the session.
	maxReply = session.DefaultMaxFrame - 4<<10
	// maxReason bounds the text of an error reply that is made from what a process left behind.
	maxReason = 1 << 10

	// resendAfter is how long a reply may be unconfirmed before it is sent again in the same
	// session. The link may be pulling its objects all that while, which is why it is long;
	// a repeated reply costs it one look-up.
	resendAfter = time.Minute
	// replyBatch bounds replies that are read from disk at a time.
	replyBatch = 16
)
