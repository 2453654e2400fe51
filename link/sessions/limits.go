package sessions

import "time"

const (
	// version of the session protocol that this link speaks.
	version = 1

	// DefaultHeartbeat is how often a side that has nothing to say shows that it is alive: it keeps
	// NAT mappings open (the shortest seen last 30 s), and with 10,000 nodes it costs no more than
	// 2,000 small frames a second.
	DefaultHeartbeat = 5 * time.Second
	// DefaultGrace is how long a node may be away before its messages fail: enough for a
	// restart, a new address or a relay that comes back.
	DefaultGrace = 30 * time.Second
	// silentBeats is how many heartbeats may be missed before a session is given up. One can be lost
	// on a congested line, two with a retransmission.
	silentBeats = 3
	// lookBatch is how many sessions are looked at together: asking that many for a sign of life
	// takes some 10 ms, which is how long others may have to wait.
	lookBatch = 256

	// maxStreams is how many streams are open at a time. The largest link that was measured had ten
	// thousand nodes; the rest is for nodes that come back before their old session has ended.
	maxStreams = 64 << 10
	// streamsPerPeer has room for a session, the one that takes its place, and one or two that the
	// node has abandoned meanwhile.
	streamsPerPeer = 4
	// helloLimit is how long a new stream may take to say Hello: ten times what a round trip of
	// 500 ms and a busy node need.
	helloLimit = 10 * time.Second
	// maxHelloRuns is how many runs of a Hello are looked up, each with a read of the store: enough
	// for a site that was away for a year with ten runs a day.
	maxHelloRuns = 4096
	// goodbyeLimit is how long the last frame of a session may take.
	goodbyeLimit = time.Second

	// offerWindow is how many instructions a node is offered without having accepted them: it
	// fetches ahead while its ClientApps run, but does not fill its disk at once.
	offerWindow = 16
	// declineDelay is how long an instruction that a node declined rests.
	declineDelay = 10 * time.Second
	// storeDelay is the pause after the store failed, which happens when the disk is full.
	storeDelay = 2 * time.Second

	// replyWorkers is how many replies of a node are fetched at once; one alone fills the line,
	// several hide the round trips between objects.
	replyWorkers = 4
	// replyQueue holds replies for the workers; when it is full the session is not read, so the
	// node stops sending. Progress of the fetches keeps the session alive.
	replyQueue = 16

	// maxQueued is how many cancelled runs and run hints may wait for a session that does not take
	// them; beyond it the session is ended, and the next Hello settles what is open.
	maxQueued = 1024
	// maxLogBytes is how much ClientApp output is kept for a node in one session and run, so that a
	// node cannot push the ServerApp's lines out of the log.
	maxLogBytes = 1 << 20
	// maxLogLines bounds the lines in one frame.
	maxLogLines = 1000
	// maxRuns is how many runs a session remembers to have touched; for others the database is asked.
	maxRuns = 1024
	// maxName bounds what a node calls itself: it is shown in tables and log lines.
	maxName = 64

	// maxAddrs bounds the addresses that a node claims and others are told.
	maxAddrs = 16
	// sharedFrame is how many objects one frame declares to be shared; a frame may have 16 MiB.
	sharedFrame = 100_000

	// online is the deadline of a node with an open session: so far off that it never comes.
	online = 100 * 365 * 24 * time.Hour
	// idle is how long a timer with nothing to do runs.
	idle = 24 * time.Hour
)
