package swarm

import "time"

// This part bounds whom a node is told of.
const (
	// wishedNeighbours is how many each node should have. With eight neighbours an object reaches
	// a thousand nodes in four steps, and a few that are slow or gone do not matter.
	wishedNeighbours = 8
	// maxNeighbours is how many a node may have because others wished for it.
	maxNeighbours = 12
	// maxAddresses is how many addresses of another node a node is told.
	maxAddresses = 8
)

// This part bounds what the link remembers, and what a node accepts from its link.
const (
	// maxThings bounds the objects of one run that the link keeps account of, the newest; each
	// takes about 200 bytes. What is forgotten is fetched from the link by everybody.
	maxThings = 400_000
	// maxShared bounds the objects of one run that a node gives to others, the newest: those of
	// many rounds.
	maxShared = 400_000
	// maxCourses bounds the runs for which a node is in a swarm.
	maxCourses = 1024
	// maxNamed bounds the peers that a node accepts from its link for a run.
	maxNamed = 64
)

// This part is about how the link gives.
const (
	// smallThing: up to this size an object is given to everybody at once; asking around costs
	// more.
	smallThing = 16 << 10
	// seedBytes and seedThings bound what is on its way to nodes as a first copy. With more at a
	// time, all objects would come late instead of some early, and only what has come is passed
	// on; with less, a fast line would be idle while the next object is asked for.
	seedBytes  = 8 << 20
	seedThings = 2
	// ownWindow to maxOwnWindow objects are on their way to a node that is alone, growing with
	// what it gets, since it may not be alone for long.
	ownWindow    = 2
	maxOwnWindow = 8
	// firstPace is what the link assumes a copy needs, in seconds a byte, until it knows: an
	// uplink of 1 MiB/s. worstPace bounds what it learns.
	firstPace = 1.0 / (1 << 20)
	worstPace = 60.0 / (1 << 20)
	// slowBase and slowTimes: a copy that takes longer than slowBase, and slowTimes as long as
	// other recent copies, is not waited for.
	slowBase  = time.Second
	slowTimes = 4
	// stuckBase and stuckTimes: an object that no further node got for stuckBase, and for
	// stuckTimes as long as the link needs for a copy, is given once more.
	stuckBase  = time.Second
	stuckTimes = 2
	// tick is how often the link looks for slow copies and stuck objects.
	tick = 500 * time.Millisecond
)

// This part bounds the streams.
const (
	// maxAsked objects may be asked of one peer at a time; it remembers each of them.
	maxAsked = 2048
	// maxMessage holds maxAsked ids of 32 bytes and as many ids of objects that have come.
	maxMessage = 160 << 10
	// maxLiars may be named in one message.
	maxLiars = 64
	// maxStreams bounds those of one peer: one for each message that it is fetching, and runs go
	// side by side.
	maxStreams = 32
	// maxAskers bounds the streams of all peers together: half a dozen each from ten thousand
	// nodes. A stream takes about 12 KiB while it waits.
	maxAskers = 64 << 10
	// firstLimit bounds how long a peer may take to say what it wants, writeLimit how long it may
	// go without reading.
	firstLimit = 15 * time.Second
	writeLimit = 30 * time.Second
	// sign is how often signs of life are sent.
	sign = 10 * time.Second
	// silence ends a stream whose other end owes signs of life.
	silence = 4 * sign
	// openLimit bounds the opening of a stream on an existing connection.
	openLimit = 10 * time.Second
)

// This part is about reaching neighbours.
const (
	// dialLimit bounds a dial. A peer that answers later is of no use to a fetch either.
	dialLimit = 5 * time.Second
	// yield is how long the peer with the larger id leaves the dialling to the other, so that they
	// do not dial each other at the same moment.
	yield = 300 * time.Millisecond
	// aloneAfter is how long a node waits for neighbours before it says that it has none.
	aloneAfter = 500 * time.Millisecond
	// firstPause and maxPause bound the pause after a failure; a connection that comes up ends the
	// pause.
	firstPause = time.Second
	maxPause   = 30 * time.Second
	// hubTries failures in a row make a fetch ask the link for everything, as without a swarm.
	hubTries = 3

	// lineBuffer is what each end of a line reads at a time: a few dozen ids.
	lineBuffer = 4 << 10
)
