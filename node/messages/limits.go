package messages

import (
	"time"

	"github.com/rhizome-fl/rhizome/protocol/session"
)

const (
	// maxJobs bounds the messages that are on their way in. Any offered beyond that are
	// declined and offered again later.
	maxJobs = 256
	// maxFetching bounds the messages that are fetched at a time: each already moves several
	// objects in parallel, and they share the line.
	maxFetching = 4
	// maxTries is how often a fetch is restarted before the message is declined. A fetch
	// resumes where it stopped, so this counts failures, not copies.
	maxTries = 5
	// firstPause and maxPause bound the pause between tries. If the link went away, the session
	// finds it again, and on its return it offers the message again.
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second

	// maxReply bounds the message and the tree of a reply together, so that they fit into
	// one frame of the session.
	maxReply = session.DefaultMaxFrame - 4<<10
	// maxReason bounds the text of an error reply made from what a process left behind.
	maxReason = 1 << 10

	// resendAfter is how long a reply may be unconfirmed before it is sent again in the same
	// session. It is long because the link may be pulling the reply's objects all that time;
	// a repeated reply costs it one look-up.
	resendAfter = time.Minute
	// replyBatch bounds how many replies are read from disk at a time.
	replyBatch = 16
)
