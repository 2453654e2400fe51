package session

// DefaultMaxFrame fits an Offer with the largest tree that object.DefaultTreeLimits
// allows (200,000 objects of 68 bytes) and its message.
const DefaultMaxFrame = 16 << 20

// keepBuffer is the largest write buffer that a Conn keeps between frames: most frames are
// smaller, and ten thousand idle sessions should not hold megabytes each.
const keepBuffer = 4 << 10

// Limits of a Conn. Zero means the default.
type Limits struct {
	// MaxFrame is the size of a frame in bytes, without its length; [DefaultMaxFrame].
	MaxFrame int
}

func (l Limits) withDefaults() Limits {
	if l.MaxFrame == 0 {
		l.MaxFrame = DefaultMaxFrame
	}
	return l
}
