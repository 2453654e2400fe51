package swarm

import "time"

// Whom a node is told of.
const (
	// wishedNeighbours of each node. With eight neighbours an object reaches a thousand nodes
	// in four steps, and a few that are slow or gone do not matter.
	wishedNeighbours = 8
	// maxNeighbours that a node has because others wished for it.
	maxNeighbours = 12
	// maxAddresses by which a node is told of another.
	maxAddresses = 8
)

// What the link remembers, and a node takes from its link.
const (
	// maxThings are the objects of one run that the link keeps account of, the newest; each
	// takes about 200 bytes. What is forgotten is fetched from the link by everybody.
	maxThings = 400_000
	// maxShared are the objects of one run that a node gives to others, the newest: those of
	// many rounds.
	maxShared = 400_000
	// maxCourses are the runs that a node is in a swarm for.
	maxCourses = 1024
	// maxNamed are the peers that a node takes from its link for a run.
	maxNamed = 64
)

// How the link gives.
const (
	// smallThing is given to everybody at once: asking around costs more.
	smallThing = 16 << 10
	// seedBytes and seedThings: what is on its way to nodes as a first copy. More at a time
	// would have all objects come late instead of some early, and only what has come is passed
	// on; less would leave a fast line idle while the next is asked for.
	seedBytes  = 8 << 20
	seedThings = 2
	// ownWindow to maxOwnWindow objects are on their way to a node alone, growing with what it
	// gets, since it may not be alone for long.
	ownWindow    = 2
	maxOwnWindow = 8
	// firstPace is what the link takes a copy to need, in seconds a byte, until it knows: an
	// uplink of 1 MiB/s. worstPace bounds what it learns.
	firstPace = 1.0 / (1 << 20)
	worstPace = 60.0 / (1 << 20)
	// slowBase and slowTimes: a copy that takes longer than slowBase and slowTimes as long as
	// others lately is not waited for.
	slowBase  = time.Second
	slowTimes = 4
	// stuckBase and stuckTimes: an object that no further node got for stuckBase, and
	// for stuckTimes as long as the link needs for a copy, is given once more.
	stuckBase  = time.Second
	stuckTimes = 2
	// tick is how often the link looks for such.
	tick = 500 * time.Millisecond
)

// The streams.
const (
	// maxAsked objects are asked of one peer at a time; it remembers each.
	maxAsked = 2048
	// maxMessage holds maxAsked ids of 32 bytes and as many that have come.
	maxMessage = 160 << 10
	// maxLiars are named in one message.
	maxLiars = 64
	// maxStreams of one peer at a time: one for each message that it is fetching, and runs
	// side by side.
	maxStreams = 32
	// maxAskers are the streams of all peers together: of ten thousand nodes, half a dozen
	// each. One takes about 12 KiB while it waits.
	maxAskers = 64 << 10
	// firstLimit bounds how long a peer takes to say what it wants, writeLimit how long it
	// does not read.
	firstLimit = 15 * time.Second
	writeLimit = 30 * time.Second
	// signs of life are told this often.
	sign = 10 * time.Second
	// silence ends a stream whose other end owes signs.
	silence = 4 * sign
	// openLimit bounds the opening of a stream on a connection that is there.
	openLimit = 10 * time.Second
)

// Reaching neighbours.
const (
	// dialLimit bounds a dial. Whoever answers later is of no use to a fetch either.
	dialLimit = 5 * time.Second
	// yield is how long the peer with the larger id leaves dialling to the other, so that
	// they do not dial each other at the same moment.
	yield = 300 * time.Millisecond
	// aloneAfter is how long a node waits for neighbours before it says that it has none.
	aloneAfter = 500 * time.Millisecond
	// firstPause and maxPause bound the pause after a failure; a connection that comes up
	// ends it.
	firstPause = time.Second
	maxPause   = 30 * time.Second
	// hubTries failures in a row have a fetch ask the link for everything, as without swarm.
	hubTries = 3

	// lineBuffer is what each end of a line reads at a time: a few dozen ids.
	lineBuffer = 4 << 10
)
