package object

// DefaultTreeLimits fits any tree that Flower makes, with room for nesting that it does not
// use today.
var DefaultTreeLimits = TreeLimits{
	// A Message is five levels deep: message, records, record, array, chunk.
	Depth: 16,
	// A model of 100 GB in chunks of 5 MiB has 20 thousand objects; ten times that is
	// about 13 MB of ids, which a receiver can hold.
	Objects: 200_000,
	// Shared subtrees are repeated in a tree, so that there are more nodes than objects.
	Nodes: 1_000_000,
}

const (
	// maxTypeLen bounds the name of a type; the longest that Flower has is 12 bytes.
	maxTypeLen = 64
	// maxHeader bounds the part before the zero byte: the ids of as many direct children
	// as a tree may have objects, the type and the length.
	maxHeader = 200_000*(IDLen+1) + maxTypeLen + 32
)
