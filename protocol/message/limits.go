package message

import "math"

const (
	// pythonDepth is how deep Python's protobuf reads nested messages and groups.
	pythonDepth = 100
	// maxNesting of a message itself leaves room for the level above it, the answer to a pull,
	// which every reader counts, and for one more level that some readers count differently.
	maxNesting = pythonDepth - 2
	// maxFields bounds the fields of one message, including those of its metadata, its error and
	// its content. Apps send about ten, since what they have to say is in objects; this many
	// still decode into a few megabytes.
	maxFields = 10_000
	// maxRaw bounds a message without its objects: a few hundred bytes, or the text of an
	// error.
	maxRaw = 1 << 20
	// maxTree is four times what the largest permitted number of objects takes (68 bytes each),
	// since shared subtrees are repeated.
	maxTree = 64 << 20

	// earliest, in Unix seconds, is the smallest created_at that Flower accepts: anything older
	// comes from a clock that is not set.
	earliest = 1740700800
	// latest is the end of the year 9999. Anything later would not fit into the microseconds in
	// which deadlines are kept.
	latest = 253402300799

	// maxType bounds a message type, which is train, evaluate or query, optionally followed by
	// a name.
	maxType = 256
	// maxGroup bounds a group id, in which apps count their rounds.
	maxGroup = 1024
	// maxRuntime of a ClientApp in seconds; anything above it is not a duration.
	maxRuntime = float64(math.MaxInt32)
)
