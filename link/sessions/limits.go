package sessions

import "time"

const (
	// version of the session protocol that this link speaks.
	version = 1

	// DefaultHeartbeat is how often a side that has nothing to say shows that it lives: it
	// keeps NAT mappings open (30 s is the least that is seen) and costs 10,000 nodes no
	// more than 2,000 small frames a second.
	DefaultHeartbeat = 5 * time.Second
	// DefaultGrace is how long a node may be away before its messages fail: enough for a
	// restart, a new address or a relay that comes back.
	DefaultGrace = 30 * time.Second
	// silentBeats is how many heartbeats may be missing before a session is given up. One
	// can be lost with a congested line, two with a retransmission.
	silentBeats = 3
	// lookBatch is how many sessions are looked at together: asking that many for a sign of life
	// takes some 10 ms, which is what others may have to wait.
	lookBatch = 256

	// maxStreams are open at a time: what is between it and the nodes of the largest link that
	// was measured, ten thousand, is for those that come back before their old session ended.
	maxStreams = 64 << 10
	// streamsPerPeer: a session, the one that takes its place, and one or two of which the
	// node has thought better meanwhile.
	streamsPerPeer = 4
	// helloLimit is how long a new stream may take to say Hello; 500 ms round trips and a
	// busy node fit ten times.
	helloLimit = 10 * time.Second
	// maxHelloRuns of a Hello are looked up, each with a read of the store: a site that was away
	// for a year of ten runs a day fits.
	maxHelloRuns = 4096
	// goodbyeLimit is how long the last frame of a session may take.
	goodbyeLimit = time.Second

	// offerWindow is how many instructions a node is offered and has not accepted: it
	// fetches ahead while its ClientApps run, and does not fill its disk at once.
	offerWindow = 16
	// declineDelay is how long an instruction that a node declined rests.
	declineDelay = 10 * time.Second
	// storeDelay is the pause after the store failed, which happens when the disk is full.
	storeDelay = 2 * time.Second

	// replyWorkers is how many replies of a node are fetched at once; one alone fills the
	// line, several hide the round trips between objects.
	replyWorkers = 4
	// replyQueue holds replies for the workers; when it is full the session is not read,
	// so that the node stops sending. Progress of the fetches keeps the session alive.
	replyQueue = 16

	// maxQueued is how many cancelled runs and run hints may wait for a session that does
	// not take them; then it is ended, and the next Hello settles what is open.
	maxQueued = 1024
	// maxLogBytes of ClientApp output are kept for a node in one session and run, so that
	// a node cannot push the ServerApp's lines out of the log.
	maxLogBytes = 1 << 20
	// maxLogLines in one frame.
	maxLogLines = 1000
	// maxRuns a session remembers to have touched; beyond it the database is asked.
	maxRuns = 1024
	// maxName bounds what a node calls itself: it shows in tables and log lines.
	maxName = 64

	// maxAddrs of a node that others are told, by its own word.
	maxAddrs = 16
	// sharedFrame is how many objects one frame says that they go to several: a frame may
	// have 16 MiB.
	sharedFrame = 100_000

	// online is the deadline of a node with an open session: none that matters.
	online = 100 * 365 * 24 * time.Hour
	// idle is how long a timer runs that has nothing to do.
	idle = 24 * time.Hour
)
