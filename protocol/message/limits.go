package message

import "math"

const (
	// pythonDepth is how deep Python's protobuf reads nested messages and groups.
	pythonDepth = 100
	// maxNesting below a message leaves room for what it is nested in itself: the answer to
	// a pull, which every reader counts, and one level that some count differently.
	maxNesting = pythonDepth - 2
	// maxFields of one message, with those of its metadata, its error and its content. Apps
	// send about ten, since what they have to say is in objects; so many still decode into
	// a few megabytes.
	maxFields = 10_000
	// maxRaw bounds a message without its objects: a few hundred bytes, or the text of an
	// error.
	maxRaw = 1 << 20
	// maxTree is four times what as many objects take as a tree may have (68 bytes each):
	// subtrees that are shared are repeated.
	maxTree = 64 << 20

	// earliest, in Unix seconds, is the least created_at that Flower takes: what is older
	// comes from a clock that is not set.
	earliest = 1740700800
	// latest is the end of the year 9999. What is later would not fit the microseconds in
	// which deadlines are kept.
	latest = 253402300799

	// maxType bounds a message type, which is train, evaluate or query, and a name behind
	// it.
	maxType = 256
	// maxGroup bounds a group id, in which apps count their rounds.
	maxGroup = 1024
	// maxRuntime of a ClientApp in seconds; what is above is not a duration.
	maxRuntime = float64(math.MaxInt32)
)
