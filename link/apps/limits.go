package apps

import "time"

const (
	// holdFirst is how long the first pull of a set of messages is held. A round that takes longer
	// than its hold costs a client of send_and_receive 3 s of sleep, once: the next hold knows
	// better. A client with a rhythm of its own waits this long once in a run. Both are bounded by
	// the timeout that a user may give, which the client checks only between pulls.
	holdFirst = 5 * time.Second
	// holdMost bounds a hold, so that the timeout given by a ServerApp's user is overrun by no more
	// than this.
	holdMost = 60 * time.Second
	// holdAsync is how long an asynchronous client waits when there is nothing for it.
	holdAsync = time.Second
	// asyncGap tells the kinds of clients apart: send_and_receive sleeps 3 s after a pull that left
	// something open, so a client that comes back sooner has a rhythm of its own.
	asyncGap = 2500 * time.Millisecond
	// maxRounds is how many sets of messages a ServerApp may wait for at once, each in its
	// own thread, before the oldest loses its memory (and nothing else).
	maxRounds = 16
	// lookPause is the least time between two looks: it keeps a pull from asking the database about
	// each of a thousand replies that come in the same moment.
	lookPause = 5 * time.Millisecond

	// acquireHold ends a SuperExec's wait for a task with an empty answer: a half-open connection is
	// not kept forever, and the cost is one request in five minutes.
	acquireHold = 5 * time.Minute
	// objectHold is how long a pull of an object that is on its way is held before the client is
	// told to ask again.
	objectHold = 60 * time.Second

	// fabGrace is how long after its start a run may be without its app's bundle, which is stored
	// anew if an earlier run of the same app has just taken it away.
	fabGrace = time.Minute

	// maxMessages bounds the messages in one push: ten times the largest federation that Rhizome is made for.
	maxMessages = 100_000
	// maxPullIDs bounds the ids in one pull, for the same reason.
	maxPullIDs = 100_000
	// maxErrors is how many generated error messages are remembered so that a repeated pull gives
	// the same ones; beyond it those of the oldest run are forgotten and made anew.
	maxErrors = 200_000
	// errorWriters is how many of them are written at a time: enough to share fsyncs, and a quarter
	// of a batch of the object store, so that a run that asks for thousands leaves room for the
	// objects of others.
	errorWriters = 64
	// maxDetail bounds the reason that a SuperExec reports for a failed run.
	maxDetail = 2000
)
