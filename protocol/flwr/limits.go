package flwr

import "time"

const (
	// KeepAlive is how often a held request gets an interim response. Clients give up after 30 s
	// of silence, so two may get lost.
	KeepAlive = 10 * time.Second

	// IdleLimit is how long a request body or an answer may stand still: the timeout that Flower's
	// clients use themselves, doubled to allow for delays on their side.
	IdleLimit = 60 * time.Second

	// MaxRequest bounds requests that hold only ids and settings.
	MaxRequest = 1 << 20

	// MaxMessages bounds push-messages and pull-messages, whose size is that of the object
	// trees: 68 bytes for each object, repeated for each receiver. It has room for 3,000
	// receivers of a model of a thousand arrays; ServerApps understand a 413 beyond that.
	MaxMessages = 512 << 20

	// MaxFields bounds the fields of a request, which are counted before it is decoded: an
	// empty element of a list takes two bytes on the wire and a hundred in memory. The
	// longest lists are the messages and trees of one push to 100,000 nodes.
	MaxFields = 250_000

	// MaxContext bounds push-task-output: the state that an app keeps from round to round
	// may hold a model.
	MaxContext = 512 << 20

	// MaxObject is the largest content that fits into a protobuf message.
	MaxObject = 2<<30 - 1

	// maxHead bounds the fields of push-object besides its content: two numbers, an object
	// id and a session id.
	maxHead = 16 << 10

	// maxDepth bounds nested messages, as Flower's own parser does.
	maxDepth = 100

	// minCompress is the smallest answer worth compressing: about one packet.
	minCompress = 1400

	// copyStep is how much is written to a client between two looks at the clock.
	copyStep = 4 << 20

	// lineOverhead is what a log line takes besides its text: the header of a string, twice,
	// since lists grow by doubling.
	lineOverhead = 32

	// firstBuffer is how much is reserved for a body on its sender's word alone.
	firstBuffer = 64 << 10
)
